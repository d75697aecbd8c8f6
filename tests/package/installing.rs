use crate::{deb::Packages, machine::Machine, school::School};

#[test]
fn lintian_finds_nothing() {
    // What a package for Debian's own archive has and this one has not.
    let known = "initial-upload-closes-no-bugs,maintainer-script-calls-systemctl";
    let output = std::process::Command::new("lintian")
        .args(["--allow-root", "--fail-on", "error,warning", "--suppress-tags", known])
        .arg(Packages::made().first())
        .output()
        .expect("lintian: scripts/setup test installs it");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn the_package_has_the_version_of_the_program() {
    let changelog = include_str!("../../packaging/debian/changelog");
    assert!(changelog.starts_with(&format!("schoolgate ({}-1) ", env!("CARGO_PKG_VERSION"))), "{changelog}");
}

#[test]
fn the_units_are_well_formed_and_shut_in() {
    let machine = Machine::boot(Packages::made().folder());
    machine.run("dpkg --install /packages/schoolgate-1.deb");
    let said = machine.run("systemd-analyze verify --man=no schoolgate.service schoolgate.socket");
    assert_eq!(said, "");
    // Out of a hundred, a hundred being no sandbox at all.
    machine.run("systemd-analyze security --offline=true --threshold=12 /usr/lib/systemd/system/schoolgate.service");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fresh_package_runs_nothing_and_says_what_is_next() {
    let school = School::empty().await;
    let said = school.install(1);
    assert!(said.contains("apple.p8") && said.contains("systemctl start schoolgate"), "{said}");
    assert_eq!(school.machine.state("schoolgate.service"), "inactive");
    assert_eq!(school.machine.state("schoolgate.socket"), "inactive");
    assert_eq!(school.machine.run("systemctl is-enabled schoolgate").trim(), "enabled");
    let said = school.machine.try_run("systemctl start schoolgate");
    assert!(said.status != 0 && said.text.contains("Assertion failed"), "{said:?}");
    assert_eq!(school.machine.run("systemctl --failed --no-legend --plain").trim(), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_package_says_to_do_next_leads_to_a_gateway_that_serves() {
    let school = School::installed().await;
    let machine = &school.machine;
    machine.write("/root/AuthKey.p8", std::fs::read(school.site.path("apple.p8")).unwrap(), 0o644);
    machine.run("install -m 600 /root/AuthKey.p8 /etc/schoolgate/apple.p8");
    machine.run("cp /usr/share/doc/schoolgate/examples/gateway.toml /etc/schoolgate/");
    // The example is complete, and asks Apple itself; here is none.
    let said = machine.run("CREDENTIALS_DIRECTORY=/etc/schoolgate schoolgate check");
    assert!(said.contains("library.school.example"), "{said}");
    school.configure(&[]);
    machine.run("CREDENTIALS_DIRECTORY=/etc/schoolgate schoolgate check");
    machine.run("systemctl start schoolgate");
    school.signed_in("teacher-1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_turns_nobody_away_and_keeps_configuration_and_sessions() {
    let school = School::open(&[]).await;
    let mut teacher = school.signed_in("teacher-1").await;
    let (before, configuration) = (school.pid(), school.machine.read("/etc/schoolgate/gateway.toml"));
    let crowd = school.crowd();
    crowd.goes_on(200).await;
    school.install(2);
    crowd.goes_on(200).await;
    assert_eq!(crowd.ends().await, [""; 0]);
    assert_ne!(school.pid(), before, "the program before goes on");
    assert!(school.machine.run("dpkg --status schoolgate").contains("-2\n"));
    assert_eq!(school.machine.read("/etc/schoolgate/gateway.toml"), configuration);
    assert!(school.knows(&mut teacher).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_to_a_version_that_refuses_the_configuration_leaves_the_one_before_running() {
    let school = School::open(&[]).await;
    let before = school.pid();
    // As a version would find it that knows a key no longer.
    school.write(&school.configuration(&[("server", "no_longer = true")]));
    let said = school.install(2);
    assert!(said.contains("refuses the configuration"), "{said}");
    school.machine.logged("no_longer is no key of this section");
    assert_eq!(school.pid(), before);
    assert_eq!(school.public().await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_starts_nothing_that_was_disabled() {
    let school = School::open(&[]).await;
    school.machine.run("systemctl disable --now schoolgate");
    school.install(2);
    assert_eq!(school.machine.state("schoolgate.service"), "inactive");
    assert_eq!(school.machine.try_run("systemctl is-enabled schoolgate").text.trim(), "disabled");
    assert!(!school.listens().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn configuration_and_state_survive_a_removal_and_a_new_installation_goes_on_with_them() {
    let school = School::open(&[]).await;
    let mut teacher = school.signed_in("teacher-1").await;
    school.machine.run("dpkg --remove schoolgate");
    assert!(!school.listens().await);
    assert!(!school.machine.exists("/usr/bin/schoolgate"));
    for file in ["/etc/schoolgate/gateway.toml", "/etc/schoolgate/apple.p8", "/var/lib/schoolgate/sessions.redb"] {
        assert!(school.machine.exists(file), "{file}");
    }
    let said = school.install(2);
    assert!(!said.contains("Next:"), "{said}");
    assert!(school.knows(&mut teacher).await, "it starts by itself, with its sessions");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purge_removes_all_but_the_key_that_apple_gives_only_once() {
    let school = School::open(&[]).await;
    let said = school.machine.run("dpkg --purge schoolgate");
    assert!(said.contains("left behind: /etc/schoolgate/apple.p8"), "{said}");
    assert!(school.machine.exists("/etc/schoolgate/apple.p8"));
    let gone = ["/etc/schoolgate/gateway.toml", "/var/lib/schoolgate", "/run/schoolgate", "/usr/share/doc/schoolgate"];
    for path in gone {
        assert!(!school.machine.exists(path), "{path}");
    }
    let said = school.machine.run("systemctl list-unit-files --no-legend 'schoolgate*' | cat");
    assert_eq!(said, "", "no unit, and no mask of one");
    assert_eq!(school.machine.run("systemctl --failed --no-legend --plain").trim(), "");
}
