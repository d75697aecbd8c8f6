//! Addresses: where the gateway listens, and where an app does.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use url::Url;

use super::{report::Fault, surroundings::Surroundings};
use crate::{
    policy::{Protocol, Upstream},
    proxy,
    server::AdminAddress,
    web::{Host, Scheme},
};

/// `address:port`.
pub(super) fn socket(text: &str) -> Result<SocketAddr, Fault> {
    let fault = |message: &str| {
        Fault::new(message, "write an IP address and a port, such as \"127.0.0.1:8080\" or \"[::]:8080\"")
    };
    let address = text.parse::<SocketAddr>().map_err(|_| {
        if text.parse::<IpAddr>().is_ok() {
            fault("has no port")
        } else if text.parse::<u16>().is_ok() || text.starts_with(':') {
            fault("has no address")
        } else {
            fault("is not an address with a port")
        }
    })?;
    // Port 0 is any free port: tests and the demo ask for it.
    Ok(address)
}

/// `address:port`, or `unix:` and a path.
pub(super) fn admin(text: &str, surroundings: &Surroundings<'_>) -> Result<AdminAddress, Fault> {
    match text.strip_prefix("unix:") {
        Some(path) => surroundings.path(path).map(AdminAddress::Unix),
        None => socket(text).map(AdminAddress::Tcp).map_err(|fault| {
            let cure = "write \"127.0.0.1:9180\", or \"unix:/run/schoolgate/admin.sock\"";
            Fault { cure: cure.into(), ..fault }
        }),
    }
}

/// Whether two listeners would get in each other's way.
pub(super) fn collide(one: SocketAddr, other: SocketAddr) -> bool {
    let anywhere = one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() == other.port() && one.port() != 0 && (one.ip() == other.ip() || anywhere)
}

/// `http://host:port` or `https://host:port`.
pub(super) fn upstream(text: &str) -> Result<Upstream, Fault> {
    let cure = match text.split_once("://").map(|(scheme, _)| scheme.eq_ignore_ascii_case("https")) {
        Some(true) => {
            "write \"https://\" and a host, and a port when it is not 443, such as \"https://app1.internal:8443\""
        }
        _ => "write \"http://\", a host and a port, such as \"http://127.0.0.1:9000\"",
    };
    let fault = |message: &str| Fault::new(message, cure);
    let Some((scheme, rest)) = text.split_once("://") else { return Err(fault("is not a URL")) };
    let (scheme, protocol) = match scheme.to_ascii_lowercase().as_str() {
        "http" => (Scheme::Http, Protocol::Negotiated),
        "https" => (Scheme::Https, Protocol::Negotiated),
        "h2c" => (Scheme::Http, Protocol::Http2),
        _ => return Err(fault("is neither an http nor an https URL")),
    };
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    if authority.contains(',') || authority.contains(char::is_whitespace) {
        let cure = "write a list with each upstream in quotes of its own: [\"http://127.0.0.1:9000\", \"http://127.0.0.1:9001\"]";
        return Err(Fault::new("is not one URL", cure));
    }
    if authority.contains(['/', '?', '#']) {
        return Err(fault("has a path, but apps get the path that the browser asked for"));
    }
    if authority.contains('@') {
        return Err(fault("has a user name or password, which are not sent to apps"));
    }
    let host = Host::parse(authority).map_err(|why| fault(&format!("is no address to connect to: it {why}")))?;
    // `Url` knows every spelling of an IPv4 address, such as 127.1; two spellings are one too many.
    let plain = Url::parse(&format!("{scheme}://{rest}")).ok().and_then(|url| url.host_str().map(str::to_owned));
    if plain.as_deref() != Some(host.name()) {
        return Err(fault("has a host that is written in an unusual way"));
    }
    let upstream = Upstream { scheme, protocol, port: host.port().unwrap_or(scheme.default_port()), host };
    if scheme == Scheme::Https && proxy::certificate_name(&upstream).is_none() {
        let cure = "give the app a host name without underscores, or write its IP address if the certificate has that";
        return Err(Fault::new("has a host that no certificate can be verified for", cure));
    }
    Ok(upstream)
}

/// Whether an app's address is the gateway's own, so that a request would go round in circles.
pub(super) fn is_own(upstream: &Upstream, listen: SocketAddr) -> bool {
    let name = upstream.host.name().trim_start_matches('[').trim_end_matches(']');
    let address = if name == "localhost" { Some(IpAddr::V4(Ipv4Addr::LOCALHOST)) } else { name.parse().ok() };
    let Some(address) = address else { return false };
    upstream.port == listen.port()
        && (address == listen.ip()
            || (listen.ip().is_unspecified() && (address.is_loopback() || address.is_unspecified())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn a_listener_has_an_address_and_a_port() {
        for text in ["127.0.0.1:8080", "[::1]:8080", "0.0.0.0:80", "127.0.0.1:0"] {
            assert_eq!(socket(text).unwrap().to_string(), text);
        }
        for (text, why) in [
            ("127.0.0.1", "has no port"),
            ("::1", "has no port"),
            ("8080", "has no address"),
            (":8080", "has no address"),
            ("localhost:8080", "is not an address"),
            ("127.0.0.1:99999", "is not an address"),
            ("", "is not an address"),
        ] {
            assert!(socket(text).unwrap_err().message.starts_with(why), "{text}");
        }
    }

    #[test]
    fn the_admin_listener_may_be_a_unix_socket() {
        let none = |_: &str| None;
        let surroundings = Surroundings::of(Path::new("/etc/gateway.toml"), &none);
        assert_eq!(admin("unix:/run/a.sock", &surroundings).unwrap(), AdminAddress::Unix("/run/a.sock".into()));
        assert!(matches!(admin("127.0.0.1:9180", &surroundings), Ok(AdminAddress::Tcp(_))));
        for text in ["unix:", "unix:$STATE_DIRECTORY/a", "9180", "/run/a.sock"] {
            assert!(admin(text, &surroundings).is_err(), "{text}");
        }
    }

    #[test]
    fn an_upstream_may_speak_http_2_without_tls() {
        let upstream = upstream("h2c://127.0.0.1:50051").unwrap();
        assert_eq!((upstream.scheme, upstream.protocol, upstream.port), (Scheme::Http, Protocol::Http2, 50051));
        assert_eq!(upstream.to_string(), "h2c://127.0.0.1:50051");
        for wrong in ["h2c://", "h2c://a/b", "h2://127.0.0.1", "grpc://127.0.0.1", "h2c://127.1:50051"] {
            assert!(super::upstream(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn listeners_on_one_port_collide_unless_they_are_on_different_addresses() {
        let collides = |one: &str, other: &str| collide(one.parse().unwrap(), other.parse().unwrap());
        assert!(collides("127.0.0.1:80", "127.0.0.1:80") && collides("0.0.0.0:80", "127.0.0.1:80"));
        assert!(!collides("127.0.0.1:80", "127.0.0.2:80") && !collides("127.0.0.1:80", "127.0.0.1:81"));
        assert!(!collides("127.0.0.1:0", "127.0.0.1:0"));
    }

    #[test]
    fn an_upstream_is_a_host_and_a_port_and_nothing_else() {
        let shown = |text| upstream(text).map(|up| up.to_string());
        assert_eq!(shown("http://127.0.0.1:9000").unwrap(), "http://127.0.0.1:9000");
        assert_eq!(shown("HTTP://App.internal/").unwrap(), "http://app.internal");
        assert_eq!(shown("http://[::1]:9000").unwrap(), "http://[::1]:9000");
        assert_eq!(shown("https://App.internal:443/").unwrap(), "https://app.internal");
        assert_eq!(shown("https://10.0.0.9:8443").unwrap(), "https://10.0.0.9:8443");
        assert_eq!(shown("http://my_app").unwrap(), "http://my_app");
        for text in [
            "127.0.0.1:9000",
            "https://my_app:443",
            "https://my_app.school.example",
            "https:app",
            "ftp://app",
            "http://",
            "http://app/path",
            "http://app?x",
            "http://u:p@app",
            "http://app:0",
            "http://127.1:9000",
            "http://0x7f000001/",
            "unix:/run/app.sock",
            "http://a b",
            "",
        ] {
            assert!(upstream(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_app_at_the_gateways_own_address_is_noticed() {
        let own = |up: &str, listen: &str| is_own(&upstream(up).unwrap(), listen.parse().unwrap());
        for (up, listen) in [
            ("http://127.0.0.1:8080", "127.0.0.1:8080"),
            ("http://localhost:8080", "127.0.0.1:8080"),
            ("http://localhost:8080", "0.0.0.0:8080"),
            ("http://[::1]:8080", "[::]:8080"),
        ] {
            assert!(own(up, listen), "{up} {listen}");
        }
        for (up, listen) in [
            ("http://127.0.0.1:9000", "127.0.0.1:8080"),
            ("http://127.0.0.2:8080", "127.0.0.1:8080"),
            ("http://10.0.0.9:8080", "0.0.0.0:8080"),
            ("http://app:8080", "0.0.0.0:8080"),
        ] {
            assert!(!own(up, listen), "{up} {listen}");
        }
    }
}
