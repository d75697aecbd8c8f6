//! Caddy, with `forward_auth` and in front of the gateway.

use crate::{
    front::{Places, Proxy},
    proxies::{FORWARD_AUTH, IN_FRONT},
};

pub(crate) const CADDY: Proxy = Proxy { page: FORWARD_AUTH, blocks: &["Caddyfile"], places, around: |_| None, command };

pub(crate) const CADDY_IN_FRONT: Proxy =
    Proxy { page: IN_FRONT, blocks: &["Caddyfile"], places: places_in_front, around: |_| None, command };

fn places_in_front(places: &Places) -> Vec<(&'static str, String)> {
    let sites = "id.school.example, library.school.example, grades.school.example {\n";
    let here = |host: &str| format!("http://{host}.school.example:{}", places.port);
    let instead = format!(
        "{{\n\tadmin off\n\tauto_https off\n}}\n{}, {}, {} {{\n\tbind 127.0.0.1\n",
        here("id"),
        here("library"),
        here("grades")
    );
    vec![(sites, instead), ("127.0.0.1:8080", places.gateway.to_string())]
}

fn places(places: &Places) -> Vec<(&'static str, String)> {
    // No certificates, and no listener for administrators.
    let global = "{\n\tadmin off\n\tauto_https off\n}\n";
    let site = format!("http://library.school.example:{} {{\n\tbind 127.0.0.1\n", places.port);
    vec![
        ("# /etc/caddy/Caddyfile\nlibrary.school.example {\n", format!("{global}{site}")),
        ("127.0.0.1:8080", places.gateway.to_string()),
        ("127.0.0.1:9000", places.app.to_string()),
    ]
}

fn command(places: &Places) -> Vec<String> {
    ["caddy", "run", "--adapter", "caddyfile", "--config", &places.path("Caddyfile")].map(str::to_owned).into()
}
