//! The package as it is installed, upgraded and removed, and its service.

use std::path::PathBuf;

use super::{READY, on_router};
use crate::harness::repository;

#[test]
fn an_installed_package_does_nothing_until_it_is_enabled() {
    on_router(
        "
        make_topology
        router fw4 start
        before=$(ip -6 route)
        install_package
        is \"$(ip -6 route)\" \"$before\" 'routes'
        [ ! -e $R/tmp/run/v6kit-router/elements.nft ]
        [ ! -e $R/etc/sysctl.d/12-v6kit-router.conf ]
        is \"$(router /etc/init.d/v6kit-router triggers)\" 'reload trigger: v6kit-router' triggers
        not router v6kit-router check >/dev/null
        says \"$(router v6kit-router check)\" 'problem: v6kit-router is not enabled'
        ",
    )
    .expect(0);
}

#[test]
fn plan_says_what_apply_does_and_changes_nothing() {
    on_router(&format!(
        "{READY}
        before=$(disk; ip -6 route; nft -s list ruleset)
        plan=$(router v6kit-router plan)
        is \"$(disk; ip -6 route; nft -s list ruleset)\" \"$before\" 'after plan'
        is \"$(router v6kit-router apply)\" \"$plan\" 'what apply says'
        has_route $PREFIX
        has_element $PREFIX
        router v6kit-router check
        "
    ))
    .expect(0);
}

#[test]
fn a_second_apply_writes_nothing() {
    on_router(&format!(
        "{READY}
        router v6kit-router apply
        before=$(disk; memory)
        is \"$(router v6kit-router apply)\" 'nothing to change' 'the second time'
        is \"$(router v6kit-router plan)\" 'nothing to change' 'plan'
        is \"$(disk; memory)\" \"$before\" 'files'
        "
    ))
    .expect(0);
}

#[test]
fn stop_keeps_every_setting_and_start_brings_everything_back() {
    on_router(&format!(
        "{READY}
        router v6kit-router apply
        before=$(disk)
        router /etc/init.d/v6kit-router stop
        not has_route $PREFIX
        not has_element $PREFIX
        is \"$(disk)\" \"$before\" 'the disk'
        router /etc/init.d/v6kit-router start
        has_route $PREFIX
        has_element $PREFIX
        "
    ))
    .expect(0);
}

#[test]
fn removal_leaves_the_ruleset_and_the_disk_as_they_were() {
    on_router(
        "
        make_topology
        router fw4 start
        state() { nft -s list ruleset; ip -6 route; find $R/etc $R/usr/share $R/usr/lib/v6kit-router $R/usr/sbin -type f | xargs md5sum; }
        mkdir -p $R/usr/lib/v6kit-router
        mkdir -p $R/usr/share/nftables.d/{table-pre,chain-post/raw_prerouting,chain-pre/forward,ruleset-post}
        before=$(state)
        install_package
        configure_crawler
        router v6kit-router apply
        says \"$(ip -6 route show $PREFIX)\" fe80::9
        uninstall_package
        is \"$(state)\" \"$before\" 'after removal'
        [ ! -e $R/tmp/run/v6kit-router ]
        ",
    )
    .expect(0);
}

#[test]
fn the_package_holds_every_file_and_its_scripts_are_sound() {
    on_router(
        "
        stage_package
        cd $T/package
        is \"$(cd data && find . -type f | sort)\" \
            \"$(cd $REPOSITORY/openwrt/v6kit-router/files && find . -type f | sort)\" 'files'
        is \"$(cd data && find . -type f -perm -u=x | sort | tr '\\n' ' ')\" \
            './etc/init.d/v6kit-router ./etc/uci-defaults/90-v6kit-router ./usr/sbin/v6kit-router ' 'executables'
        is \"$(cat control)\" 'all @IPV6 +firewall4 +jsonfilter +uci' 'architecture and dependencies'
        is \"$(grep . conffiles)\" /etc/config/v6kit-router 'conffiles'
        shellcheck -s dash postinst prerm postrm
        # While an image is built nothing may run: whatever they called would not be found.
        for script in postinst prerm postrm; do
            IPKG_INSTROOT=/somewhere PATH=/nonexistent /bin/sh -eu $script
        done
        ",
    )
    .expect(0);
}

#[test]
fn an_upgrade_keeps_settings_and_service() {
    on_router(
        &[
            READY,
            include_str!("package/an_upgrade_keeps_settings_and_service.sh"),
        ]
        .join("\n"),
    )
    .expect(0);
}

#[test]
fn rules_that_do_not_load_are_taken_out_again() {
    on_router(
        "
        make_topology
        router fw4 start
        before=$(nft -s list ruleset)
        cp -r $REPOSITORY/openwrt/v6kit-router/files/. $R/
        echo 'no such rule' >>$R/usr/share/nftables.d/table-pre/v6kit-router.nft
        not router v6kit-router load-rules 2>$T/err
        grep -q 'they were taken out again' $T/err
        router fw4 check
        router fw4 reload
        is \"$(nft -s list ruleset)\" \"$before\" ruleset
        ",
    )
    .expect(0);
}

#[test]
fn a_stopped_service_stays_stopped_through_events_until_it_is_started() {
    on_router(&format!(
        "{READY}
        router /etc/init.d/v6kit-router start
        router /etc/init.d/v6kit-router stop
        hotplug ACTION=ifupdate INTERFACE=wan6 IFUPDATE_PREFIXES=1
        hotplug ACTION=ifup INTERFACE=lan
        not has_route $PREFIX
        says \"$(router v6kit-router check || true)\" 'problem: v6kit-router is stopped: `service v6kit-router start` starts it'
        router /etc/init.d/v6kit-router start
        delegate 2001:db8:2:300:: 56 2001:db8:2:302::
        hotplug ACTION=ifupdate INTERFACE=wan6 IFUPDATE_PREFIXES=1
        has_route 2001:db8:2:302:abcd::/80
        router /etc/init.d/v6kit-router status
        "
    ))
    .expect(0);
}

#[test]
fn a_restart_does_not_take_the_route_away_in_between() {
    on_router(&format!(
        "{READY}
        router /etc/init.d/v6kit-router start
        exec {{routes}}< <(ip -6 monitor route)
        router /etc/init.d/v6kit-router restart
        router /etc/init.d/v6kit-router reload
        # The mark that ends what is looked at.
        ip -6 route add 2001:db8:ee::/48 via fe80::9 dev br-lan
        while read -r -t 60 -u $routes line; do
            [[ $line != *2001:db8:ee::* ]] || exit 0
            [[ $line != *$PREFIX* ]] || {{ echo \"$line\"; exit 1; }}
        done
        exit 1
        "
    ))
    .expect(0);
}

/// `opkg install --force-reinstall` removes and installs; conffiles that were changed stay where they are.
#[test]
fn a_package_that_is_installed_again_finds_its_service_as_it_was() {
    on_router(&format!(
        "{READY}
        router v6kit-router apply
        cp $R/etc/config/v6kit-router $T/kept
        uninstall_package
        not has_route $PREFIX
        is \"$(nft list tables | grep -c v6kit || true)\" 0 'what is left in the firewall'
        cp $T/kept $T/package/data/etc/config/v6kit-router
        cp -R $T/package/data/. $R/
        router ash -e /tmp/postinst
        router ash -c 'cd /etc/uci-defaults && ash ./90-v6kit-router && rm 90-v6kit-router'
        router /etc/init.d/v6kit-router enable
        router /etc/init.d/v6kit-router start
        has_route $PREFIX
        has_element $PREFIX
        router v6kit-router check
        "
    ))
    .expect(0);
}

#[test]
fn removal_keeps_the_settings_as_conffiles_are_kept() {
    on_router(&format!(
        "{READY}
        router v6kit-router apply
        before=$(router uci show v6kit-router)
        cp $T/package/prerm $R/tmp/
        router ash /tmp/prerm
        is \"$(router uci show v6kit-router)\" \"$before\" settings
        not has_route $PREFIX
        # By hand it is switched off as well.
        router v6kit-router remove
        is \"$(router uci get v6kit-router.main.enabled)\" 0 'after removal by hand'
        "
    ))
    .expect(0);
}

#[test]
fn the_package_is_what_a_feed_asks_for() {
    let package = repository().join("openwrt/v6kit-router");
    let read = |path: PathBuf| {
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    let makefile = read(package.join("Makefile"));
    for line in [
        "PKG_LICENSE:=MIT OR Apache-2.0",
        "PKG_LICENSE_FILES:=LICENSE-MIT LICENSE-APACHE",
    ] {
        assert!(makefile.lines().any(|other| other == line), "{line}");
    }
    let maintainer = makefile
        .lines()
        .find(|line| line.starts_with("PKG_MAINTAINER:="))
        .unwrap();
    assert!(
        maintainer.ends_with('>') && maintainer.contains(" <") && maintainer.contains('@'),
        "{maintainer}"
    );
    for license in ["LICENSE-MIT", "LICENSE-APACHE"] {
        assert_eq!(
            read(package.join(license)),
            read(repository().join(license)),
            "{license}"
        );
    }
    let mut texts: Vec<PathBuf> = v6kit_router::files()
        .iter()
        .filter(|file| !file.path.starts_with("/etc/config/"))
        .map(|file| package.join("files").join(file.path.trim_start_matches('/')))
        .collect();
    texts.extend(["Makefile", "files/etc/uci-defaults/90-v6kit-router"].map(|name| package.join(name)));
    for path in texts {
        let head: Vec<String> = read(path.clone())
            .lines()
            .take(2)
            .map(ToOwned::to_owned)
            .collect();
        assert!(
            head.iter()
                .any(|line| line == "# SPDX-License-Identifier: MIT OR Apache-2.0"),
            "{}",
            path.display()
        );
    }
    // The version stands in one place, and it is that of the rest.
    assert!(!makefile.contains(env!("CARGO_PKG_VERSION")));
    on_router(&format!(
        "
        stage_package
        is \"$(cat $T/package/version)\" {version} 'version of the package'
        is \"$(sh -c 'sed -n s/^VERSION=//p $0' $REPOSITORY/openwrt/v6kit-router/files/usr/sbin/v6kit-router)\" {version} 'of the command'
        # Pasted into longer scripts, they must not end them.
        for script in postinst prerm postrm; do
            not grep -w exit $T/package/$script
        done
        ",
        version = env!("CARGO_PKG_VERSION")
    ))
    .expect(0);
}
