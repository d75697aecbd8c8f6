//! The page on which one lets Apple tell the gateway that a consent is gone.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use askama::Template;
use axum::http::StatusCode;
use url::{Host, Url};

use super::{
    Client, Inside, Notice, Service,
    answer::Answer,
    consent::{Group, groups},
    notification,
    reception::Asked,
};

/// Where it is.
pub(super) const PATH: &str = "/stand-in/tell";

/// The choice that is nobody, but all of them.
const SCHOOL: &str = "school";

#[derive(Template)]
#[template(path = "demo/tell.html")]
struct Tell<'a> {
    school: &'static str,
    told: Vec<String>,
    groups: Vec<Group<'a>>,
}

/// The page, with what came of the choice before.
pub(super) fn page(inside: &Inside, told: Vec<String>) -> Answer {
    let page = Tell { school: SCHOOL, told, groups: groups(inside.school.people()) };
    Answer::page(StatusCode::OK, page.render().unwrap_or_default(), "asked whose consent is gone")
}

/// The page sent back: every client on this machine is told.
pub(super) async fn tell(inside: &Inside, asked: &Asked) -> Answer {
    let form = asked.form();
    let choice = form.as_ref().and_then(|form| form.value("person"));
    let notice = match choice {
        Some(SCHOOL) => Some(Notice::OrganizationRevoked),
        choice => choice.and_then(|id| inside.school.person(id)).map(|it| Notice::ConsentRevoked(it.subject.clone())),
    };
    let Some(notice) = notice else { return page(inside, vec!["There is no such person.".to_owned()]) };
    let mut told = Vec::new();
    for client in &inside.clients {
        told.push(tell_client(inside, client, &notice).await);
    }
    page(inside, told)
}

async fn tell_client(inside: &Inside, client: &Client, notice: &Notice) -> String {
    let name = &client.client_id;
    let body = notification::body(inside, Service::Organization, name, notice);
    for uri in &client.redirect_uris {
        for address in addresses(uri) {
            let host = &uri[url::Position::BeforeHost..url::Position::AfterPort];
            if let Ok(status) = notification::send(address, host, &body).await {
                return format!("The gateway {name} was told, and answered {status}.");
            }
        }
    }
    format!("The gateway {name} cannot be reached from here.")
}

/// Where a gateway on this machine listens whose browsers come back to `uri`; none, when that is elsewhere or needs
/// TLS, which the stand-in does not speak.
fn addresses(uri: &Url) -> Vec<SocketAddr> {
    let ips: Vec<IpAddr> = match uri.host().filter(|_| uri.scheme() == "http") {
        Some(Host::Domain("localhost")) => vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
        Some(Host::Ipv4(ip)) if ip.is_loopback() => vec![ip.into()],
        Some(Host::Ipv6(ip)) if ip.is_loopback() => vec![ip.into()],
        Some(Host::Domain(_) | Host::Ipv4(_) | Host::Ipv6(_)) | None => Vec::new(),
    };
    let port = uri.port_or_known_default().unwrap_or(80);
    ips.into_iter().map(|ip| SocketAddr::new(ip, port)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_gateways_on_this_machine_without_tls_are_told() {
        for (uri, expected) in [
            ("http://localhost:8080/cb", &["127.0.0.1:8080", "[::1]:8080"][..]),
            ("http://127.0.0.1/cb", &["127.0.0.1:80"]),
            ("http://[::1]:81/cb", &["[::1]:81"]),
            ("https://localhost:8080/cb", &[]),
            ("https://library.school.example/cb", &[]),
            ("http://library.school.example/cb", &[]),
            ("http://192.0.2.1/cb", &[]),
        ] {
            let found: Vec<_> = addresses(&Url::parse(uri).unwrap()).iter().map(ToString::to_string).collect();
            assert_eq!(found, expected, "{uri}");
        }
    }
}
