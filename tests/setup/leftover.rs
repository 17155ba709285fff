//! What another program brings back without the journal: a saved ruleset, a file of ours.

use super::on_host;

#[test]
fn a_table_that_another_program_brought_back_is_named_and_taken_over() {
    on_host(include_str!(
        "leftover/a_table_that_another_program_brought_back_is_named_and_taken_over.sh"
    ));
}

#[test]
fn a_table_of_another_boot_or_namespace_is_removed_and_that_of_another_setup_is_left_alone() {
    on_host(include_str!(
        "leftover/a_table_of_another_boot_or_namespace_is_removed_and_that_of_another_setup_is_left_alone.sh"
    ));
}

#[test]
fn a_limits_file_whose_journal_is_gone_is_taken_over_and_a_strangers_is_not() {
    on_host(include_str!(
        "leftover/a_limits_file_whose_journal_is_gone_is_taken_over_and_a_strangers_is_not.sh"
    ));
}
