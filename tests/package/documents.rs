//! What docs/install.md and docs/systemd.md tell to do, done as they tell it.

use std::{fs, path::Path, process::Command};

use crate::{
    deb::Packages,
    machine::Machine,
    school::School,
    support::{
        Browser, Echo,
        pebble::free,
        redis::Server,
        world::{at, at_apple},
    },
};

const INSTALL: &str = include_str!("../../docs/install.md");
pub const SYSTEMD: &str = include_str!("../../docs/systemd.md");

/// The file that a document shows: the block whose first line is the path.
fn file(document: &str, path: &str) -> String {
    let begins = format!("\n# {path}\n");
    let (_, rest) = document.split_once(&begins).unwrap_or_else(|| panic!("{path} is not in the document"));
    rest.split_once("```").unwrap().0.to_owned()
}

/// What stands below a heading, up to the next.
fn section<'a>(document: &'a str, heading: &str) -> &'a str {
    let (_, rest) = document.split_once(&format!("# {heading}\n")).unwrap_or_else(|| panic!("no heading {heading}"));
    rest.split("\n## ").next().unwrap()
}

/// The commands below a heading, up to the next.
pub fn commands<'a>(document: &'a str, heading: &str) -> Vec<&'a str> {
    section(document, heading).lines().filter_map(|line| line.strip_prefix("    ")).collect()
}

/// Writes a file of a document where the document says.
fn write(machine: &Machine, document: &str, path: &str) {
    machine.write(path, file(document, path), 0o644);
    machine.run("systemctl daemon-reload");
}

/// Whether the gateway answers there, asked from inside.
fn answers(machine: &Machine, address: &str) -> bool {
    let ask = format!(
        "perl -MIO::Socket::IP -e '$s = IO::Socket::IP->new(PeerHost => \"{address}\") or exit 1;
         print $s \"GET / HTTP/1.1\\r\\nHost: library.school.example\\r\\nConnection: close\\r\\n\\r\\n\"; print <$s>'"
    );
    machine.try_run(&ask).text.starts_with("HTTP/1.1 401")
}

/// The key that Apple's portal gives.
fn key(machine: &Machine, path: &str) {
    let key =
        Command::new("openssl").args(["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]).output();
    machine.write(path, key.unwrap().stdout, 0o600);
}

#[test]
fn the_page_about_installing_leads_to_a_gateway_that_serves() {
    let machine = Machine::boot_alone(Packages::made().folder());
    machine.run("cp /packages/schoolgate-1.deb /root/schoolgate_0.1.0-1_amd64.deb");
    key(&machine, "/root/AuthKey_K1L2M3N4O5.p8");
    for step in ["2. The package", "3. The key", "4. The configuration", "5. Check", "6. Start", "7. Look"] {
        let commands = commands(INSTALL, step);
        assert!(!commands.is_empty(), "{step}");
        // Made already; and edited now.
        let typed = |command: &&&str| **command != "make deb" && !command.starts_with("editor ");
        let typed: Vec<_> = commands.iter().filter(typed).copied().collect();
        machine.run(&format!("set -e; cd /root\n{}", typed.join("\n")));
        if step == "4. The configuration" {
            write(&machine, INSTALL, "/etc/schoolgate/gateway.toml");
        }
    }
    assert!(answers(&machine, "127.0.0.1:8080"));
    assert!(machine.run("systemctl list-dependencies multi-user.target").contains("schoolgate.service"));
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_tried_without_an_account() {
    let (heading, app) = ("Try it without an account", Echo::start().await);
    let machine = Machine::boot(Packages::made().folder());
    machine.run("dpkg --install /packages/schoolgate-1.deb");
    // The machine has the ports of this one, where others have taken some.
    let (gateway, apple) = (free(), free());
    let ports = [("8080", gateway.port()), ("9998", apple.port()), ("9000", app.address.port())];
    let configuration = file(section(INSTALL, heading), "/etc/schoolgate/gateway.toml");
    let here = ports.iter().fold(configuration, |text, (said, port)| {
        assert!(text.contains(said));
        text.replace(said, &port.to_string())
    });
    machine.write("/etc/schoolgate/gateway.toml", here, 0o644);
    let listen = format!("[Socket]\nListenStream=\nListenStream={gateway}\n");
    machine.write("/etc/systemd/system/schoolgate.socket.d/listen.conf", listen, 0o644);
    machine.run("systemctl daemon-reload");
    let [key, stand_in, start, doctor, forget, stop] = commands(INSTALL, heading)[..] else { panic!() };
    for command in [key, stand_in, start] {
        machine.run(command);
    }
    assert_eq!(machine.run("stat --format %a /etc/schoolgate/apple.p8").trim(), "600");

    let (mut browser, page) = (Browser::new(gateway), format!("http://localhost:{}/", gateway.port()));
    let answer = browser.open(&page).await;
    assert_eq!(answer.status, 302, "{}", answer.text());
    let back = at_apple(answer.location(), "teacher-1").await;
    assert_eq!(browser.open(&back).await.status, 303);
    assert_eq!(browser.open(&page).await.status, 200);
    assert!(app.last().header("x-forwarded-user").is_some());
    let answer = browser.open(&format!("{page}.schoolgate/")).await.text();
    assert!(answer.contains("tilda.brightwater"), "{answer}");
    machine.run(doctor);
    for command in [forget, stop] {
        machine.run(command);
    }
    assert_eq!(
        (machine.state("schoolgate.service"), machine.state("stand-in.service")),
        ("inactive".into(), "inactive".into())
    );
}

#[test]
fn it_is_installed_without_the_package_too() {
    let machine = Machine::boot_alone(Packages::made().folder());
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd");
    for entry in fs::read_dir(source).unwrap() {
        let entry = entry.unwrap();
        let path = format!("/root/systemd/{}", entry.file_name().to_str().unwrap());
        machine.write(&path, fs::read(entry.path()).unwrap(), 0o644);
    }
    machine.write("/root/target/release/schoolgate", fs::read(env!("CARGO_BIN_EXE_schoolgate")).unwrap(), 0o755);
    for command in commands(INSTALL, "Without the package") {
        if command == "scripts/setup build" || command.starts_with("cargo ") {
            continue;
        }
        machine.run(&format!("cd /root; {command}"));
    }
    key(&machine, "/etc/schoolgate/apple.p8");
    write(&machine, INSTALL, "/etc/schoolgate/gateway.toml");
    machine.run("systemctl start schoolgate");
    assert!(answers(&machine, "127.0.0.1:8080"));
}

#[test]
fn it_listens_where_the_socket_unit_and_the_configuration_say() {
    let machine = Machine::boot_alone(Packages::made().folder());
    machine.run("dpkg --install /packages/schoolgate-1.deb");
    key(&machine, "/etc/schoolgate/apple.p8");
    let configuration = file(INSTALL, "/etc/schoolgate/gateway.toml");
    machine.write("/etc/schoolgate/gateway.toml", &configuration, 0o644);
    machine.run("systemctl start schoolgate");
    let listen = "\"[::]:443\", \"[::]:80\"";
    machine.write("/etc/schoolgate/gateway.toml", configuration.replace("\"127.0.0.1:8080\"", listen), 0o644);
    machine.write(
        "/etc/systemd/system/schoolgate.socket.d/listen.conf",
        file(SYSTEMD, "/etc/systemd/system/schoolgate.socket.d/listen.conf"),
        0o644,
    );
    let commands = commands(SYSTEMD, "Where it listens");
    for command in commands.iter().take_while(|command| !command.contains("mask")) {
        machine.run(command);
    }
    for address in ["127.0.0.1:80", "127.0.0.1:443", "[::1]:80", "[::1]:443"] {
        assert!(answers(&machine, address), "{address}: {}", machine.journal());
    }
    assert!(!answers(&machine, "127.0.0.1:8080"));
}

#[test]
fn without_the_socket_unit_it_takes_low_ports_with_the_one_capability_for_them() {
    let machine = Machine::boot_alone(Packages::made().folder());
    machine.run("dpkg --install /packages/schoolgate-1.deb");
    key(&machine, "/etc/schoolgate/apple.p8");
    let configuration = file(INSTALL, "/etc/schoolgate/gateway.toml").replace("127.0.0.1:8080", "127.0.0.1:443");
    machine.write("/etc/schoolgate/gateway.toml", configuration, 0o644);
    let [mask, restart] = commands(SYSTEMD, "Without the socket unit")[..] else { panic!() };
    machine.run(mask);
    assert_ne!(machine.try_run(restart).status, 0, "it takes a low port without a right to it");
    write(&machine, SYSTEMD, "/etc/systemd/system/schoolgate.service.d/low-ports.conf");
    machine.run(restart);
    assert!(answers(&machine, "127.0.0.1:443"));
}

#[tokio::test(flavor = "multi_thread")]
async fn further_secrets_are_handed_over_by_systemd() {
    let redis = Server::with(&["--requirepass", "hunter2"]);
    let school = School::installed().await;
    let machine = &school.machine;
    machine.run("umask 077; head -c 32 /dev/urandom | base64 >/etc/schoolgate/session.key");
    machine.write("/etc/schoolgate/redis-password", "hunter2\n", 0o600);
    let key = "encryption_key_file = \"$CREDENTIALS_DIRECTORY/session.key\"";
    let place = format!("127.0.0.1:{}/0?password_file=$CREDENTIALS_DIRECTORY/redis-password", redis.port());
    school.configure(&[("session", &format!("store = \"redis://{place}\"\n{key}"))]);
    write(machine, SYSTEMD, "/etc/systemd/system/schoolgate.service.d/secrets.conf");
    machine.run("systemctl start schoolgate");
    let mut teacher = school.signed_in("teacher-1").await;
    machine.run("systemctl reload schoolgate");
    assert_eq!(teacher.open(&at("/page")).await.status, 200);
}
