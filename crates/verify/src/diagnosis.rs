//! From what was seen to what is wrong.

use crate::report::{Diagnosis, Egress};

/// What was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Evidence {
    /// The kernel delivers the prefix to this host and lets sockets bind to it.
    pub(crate) set_up: bool,
    /// The endpoint answered the host's own address.
    pub(crate) uplink: bool,
    /// The endpoint answered an address of the prefix that the host has for its own.
    pub(crate) own_inside: bool,
    pub(crate) egress: Egress,
    /// A router said that it forbids packets from the prefix.
    pub(crate) forbidden: bool,
    /// Connections of the prefix were answered, but not by what was asked for.
    pub(crate) turned_away: bool,
    /// Neighbour solicitations for addresses of the prefix arrived.
    pub(crate) solicited: bool,
    /// A router's answer found its way back to an address of the prefix.
    pub(crate) way_back: bool,
    /// New connections hang, from the host's own address too, while an established one goes on; or the
    /// table of this host is full.
    pub(crate) table_full: bool,
}

impl Evidence {
    pub(crate) fn diagnosis(self) -> Diagnosis {
        let Egress {
            tried,
            answered,
            mismatched,
            ..
        } = self.egress;
        if !self.set_up {
            Diagnosis::NotSetUp
        } else if mismatched > 0 {
            Diagnosis::Rewritten
        } else if tried > 0 && answered == tried {
            Diagnosis::Ok
        } else if self.forbidden {
            Diagnosis::Filtered
        } else if self.table_full {
            Diagnosis::TableFull
        } else if self.solicited {
            Diagnosis::OnLink
        } else if !self.uplink && answered == 0 {
            Diagnosis::NoUplink
        } else if self.turned_away || self.own_inside || self.way_back {
            Diagnosis::Filtered
        } else {
            Diagnosis::NoReturn
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything is in place, and no random address was answered.
    const SILENCE: Evidence = Evidence {
        set_up: true,
        uplink: true,
        own_inside: false,
        egress: Egress {
            tried: 32,
            answered: 0,
            distinct: 0,
            mismatched: 0,
        },
        forbidden: false,
        turned_away: false,
        solicited: false,
        way_back: false,
        table_full: false,
    };

    fn answered(answered: usize, mismatched: usize) -> Egress {
        Egress {
            tried: 32,
            answered,
            distinct: answered,
            mismatched,
        }
    }

    #[test]
    fn each_cause_has_its_name() {
        let named =
            |evidence: Evidence, diagnosis| assert_eq!(evidence.diagnosis(), diagnosis, "{evidence:?}");
        named(SILENCE, Diagnosis::NoReturn);
        named(
            Evidence {
                egress: answered(32, 0),
                ..SILENCE
            },
            Diagnosis::Ok,
        );
        named(
            Evidence {
                egress: answered(32, 32),
                ..SILENCE
            },
            Diagnosis::Rewritten,
        );
        named(
            Evidence {
                solicited: true,
                ..SILENCE
            },
            Diagnosis::OnLink,
        );
        named(
            Evidence {
                set_up: false,
                ..SILENCE
            },
            Diagnosis::NotSetUp,
        );
        named(
            Evidence {
                uplink: false,
                ..SILENCE
            },
            Diagnosis::NoUplink,
        );
        for filtered in [
            Evidence {
                forbidden: true,
                ..SILENCE
            },
            Evidence {
                turned_away: true,
                ..SILENCE
            },
            Evidence {
                own_inside: true,
                ..SILENCE
            },
            Evidence {
                way_back: true,
                ..SILENCE
            },
        ] {
            named(filtered, Diagnosis::Filtered);
        }
    }

    #[test]
    fn a_full_table_explains_what_is_missing_but_makes_nothing_wrong_that_works() {
        let full = Evidence {
            table_full: true,
            ..SILENCE
        };
        for evidence in [
            full,
            Evidence {
                egress: answered(20, 0),
                ..full
            },
            Evidence {
                uplink: false,
                ..full
            },
        ] {
            assert_eq!(evidence.diagnosis(), Diagnosis::TableFull, "{evidence:?}");
        }
        let untracked = Evidence {
            egress: answered(32, 0),
            ..full
        };
        assert_eq!(untracked.diagnosis(), Diagnosis::Ok);
    }

    #[test]
    fn a_host_without_an_own_address_is_judged_by_the_prefix() {
        let without = Evidence {
            uplink: false,
            ..SILENCE
        };
        let works = Evidence {
            egress: answered(32, 0),
            ..without
        };
        assert_eq!(works.diagnosis(), Diagnosis::Ok);
        let solicited = Evidence {
            solicited: true,
            ..without
        };
        assert_eq!(solicited.diagnosis(), Diagnosis::OnLink);
    }

    #[test]
    fn a_part_that_is_answered_does_not_make_it_ok() {
        let part = Evidence {
            egress: answered(20, 0),
            ..SILENCE
        };
        assert_eq!(part.diagnosis(), Diagnosis::NoReturn);
        let solicited = Evidence {
            solicited: true,
            ..part
        };
        assert_eq!(solicited.diagnosis(), Diagnosis::OnLink);
    }
}
