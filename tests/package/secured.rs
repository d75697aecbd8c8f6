//! The gateway ends TLS itself, in the sandbox.

use std::fs;

use crate::{
    documents::{SYSTEMD, commands},
    school::School,
    support::{
        Authority, HOST, Http2, Pebble, Request, TlsClient,
        http2::request,
        pebble::free,
        world::{at, through_apple},
    },
};

/// The certificate and the key where the page about systemd says, by the commands that it gives.
fn hand_over(school: &School, authority: &Authority) -> Vec<u8> {
    let certificate = authority.signs(&[HOST]);
    certificate.write(&school.machine.path("/root"), "fullchain");
    school.machine.run("mv /root/fullchain.key /root/privkey.pem");
    let typed = commands(SYSTEMD, "Keys and other secrets");
    let typed: Vec<_> = typed.into_iter().filter(|command| command.starts_with("install ")).collect();
    assert_eq!(typed.len(), 2);
    school.machine.run(&format!("set -e; cd /root\n{}", typed.join("\n")));
    certificate.der().to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn people_come_by_tls_and_a_reload_takes_a_renewed_certificate() {
    let (school, authority, redirect) = (School::installed().await, Authority::new("School"), free());
    let first = hand_over(&school, &authority);
    let section = format!(
        "[server.tls]\ncertificate_file = \"/etc/schoolgate/tls/fullchain.pem\"\n\
         private_key_file = \"/etc/schoolgate/tls/privkey.pem\"\nredirect_http_listen = [\"{redirect}\"]"
    );
    school.configure(&[("server", &section)]);
    school.drop_in("schoolgate.socket", "redirect", &format!("[Socket]\nListenStream={redirect}\n"));
    school.strict();
    school.machine.run("systemctl start schoolgate");
    let before = school.pid();

    let mut teacher = school.browser().with_tls(TlsClient::trusting(&authority));
    assert_eq!(through_apple(&mut teacher, "/start", "teacher-1").await.location(), "/start");
    assert_eq!(teacher.open(&at("/page")).await.status, 200);
    let stream = TlsClient::speaking(&authority, &["h2", "http/1.1"]).connect(school.address, HOST).await.unwrap();
    let mut http2 = Http2::over(stream).await;
    let cookie = format!("__Host-schoolgate={}", teacher.cookie(HOST, "__Host-schoolgate").unwrap());
    assert_eq!(http2.send(request("GET", "/page").header("cookie", cookie)).await.status, 200);
    assert_eq!(Request::get("/page").header("Host", HOST).send(redirect).await.status, 308);
    // Each with a handshake of its own: who goes on with a session is shown nothing.
    let shown = async || TlsClient::trusting(&authority).shown(school.address, HOST).await.unwrap();
    assert_eq!(shown().await, first);

    let second = hand_over(&school, &authority);
    school.machine.run("systemctl reload schoolgate");
    school.machine.logged("event=\"reloaded\"");
    assert_eq!(shown().await, second);
    assert_eq!(http2.send(request("GET", "/public")).await.status, 200, "who is connected stays");
    // And without a reload, at its next look.
    let third = hand_over(&school, &authority);
    school.machine.logged_times("event=\"certificate_taken\"", 3);
    assert_eq!(shown().await, third);

    // One that is broken is refused, with its reason.
    school.machine.write("/etc/schoolgate/tls/privkey.pem", "nonsense", 0o640);
    assert_ne!(school.machine.try_run("systemctl reload schoolgate").status, 0);
    assert_eq!(shown().await, third);
    assert_eq!(school.pid(), before, "{}", school.machine.journal());
}

#[tokio::test(flavor = "multi_thread")]
async fn it_orders_its_certificate_and_keeps_it_in_its_state() {
    let school = School::installed().await;
    let pebble = Pebble::start(school.address, free()).await;
    let file = "/etc/schoolgate/tls/acme-ca.pem";
    school.machine.write(file, fs::read(pebble.authority.file()).unwrap(), 0o644);
    let section = pebble.section().replace(&*pebble.authority.file().to_string_lossy(), file);
    school.configure(&[("server", &format!("[server.tls]\n{section}"))]);
    school.strict();
    school.machine.run("systemctl start schoolgate");
    school.machine.logged("certificate_taken");
    let client = pebble.client().await;
    let shown = client.shown(school.address, HOST).await.expect("a certificate of the authority");
    let kept = school.machine.run("stat --format '%U %a' /var/lib/schoolgate/acme /var/lib/schoolgate/acme/*.pem");
    assert_eq!(kept, "schoolgate 700\nschoolgate 600\n");
    school.machine.run("systemctl restart schoolgate");
    assert_eq!(client.shown(school.address, HOST).await, Some(shown), "it needs no other");
    assert_eq!(school.machine.journal().matches("acme_order").count(), 1);
}
