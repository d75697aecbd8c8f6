//! URLs: Apple's endpoints, and where Apple sends browsers back to.

use url::{Host as UrlHost, ParseError, Url};

use super::report::Fault;
use crate::web::Scheme;

/// The one path that Apple sends browsers back to.
const CALLBACK: &str = "/.schoolgate/callback";

/// An address of Apple's: https, or http to this machine, where a stand-in may listen.
pub(super) fn endpoint(text: &str) -> Result<Url, Fault> {
    let fault = |message: &str| Fault::new(message, "write an https URL, such as \"https://appleid.apple.com\"");
    let url = plain(text).map_err(|message| fault(&message))?;
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(&url) => Ok(url),
        "http" => Err(fault("is http, which is for a stand-in on 127.0.0.1, [::1] or localhost only")),
        _ => Err(fault("is not an https URL")),
    }
}

/// Where Apple sends browsers back to: what Apple itself asks for, and our path.
pub(super) fn redirect_uri(text: &str, scheme: Scheme) -> Result<Url, Fault> {
    let example = match scheme {
        Scheme::Https => format!("https://library.school.example{CALLBACK}"),
        Scheme::Http => format!("http://localhost:8080{CALLBACK}"),
    };
    let fault = |message: &str| Fault::new(message, format!("write it like \"{example}\""));
    let url = plain(text).map_err(|message| fault(&message))?;
    let domain = match url.host() {
        Some(UrlHost::Domain(domain)) => Some(domain.to_owned()),
        Some(UrlHost::Ipv4(_) | UrlHost::Ipv6(_)) | None => None,
    };
    let is_local = url.host_str().is_some_and(|host| matches!(host, "localhost" | "127.0.0.1"));
    match scheme {
        Scheme::Https if url.scheme() != "https" => {
            return Err(fault("is not https, as Apple and external_scheme = \"https\" ask for"));
        }
        Scheme::Https => match domain.as_deref() {
            None => return Err(fault("has an IP address, which Apple refuses; it must be a domain name")),
            Some(name) if name == "localhost" || name.ends_with(".localhost") => {
                return Err(fault("is on localhost, which Apple refuses; it must be a domain name"));
            }
            Some(_) => {}
        },
        Scheme::Http if url.scheme() != "http" => {
            return Err(fault("is not http, although external_scheme is \"http\""));
        }
        Scheme::Http if !is_local => {
            return Err(fault("is not on localhost or 127.0.0.1, although external_scheme is \"http\""));
        }
        Scheme::Http => {}
    }
    if url.path() != CALLBACK {
        return Err(fault(&format!("has another path than {CALLBACK}")));
    }
    // Apple compares with what is registered, byte for byte.
    if url.as_str() != text {
        let cure = format!("write \"{url}\", and register exactly this at Apple");
        return Err(Fault::new("is spelt in an unusual way, and would be sent to Apple in another", cure));
    }
    Ok(url)
}

/// A URL with a host, and without user, query and fragment.
fn plain(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|why| {
        if why == ParseError::RelativeUrlWithoutBase {
            "is not a URL: nothing like https:// is in front".to_owned()
        } else {
            format!("is not a URL ({why})")
        }
    })?;
    if url.host().is_none() {
        return Err("has no host".into());
    }
    for (part, there) in [
        ("a user name or password", !url.username().is_empty() || url.password().is_some()),
        ("a query", url.query().is_some()),
        ("a fragment", url.fragment().is_some()),
    ] {
        if there {
            return Err(format!("has {part}, which may not be there"));
        }
    }
    Ok(url)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(UrlHost::Domain(name)) => name == "localhost",
        Some(UrlHost::Ipv4(address)) => address.is_loopback(),
        Some(UrlHost::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn apple_is_reached_over_https_and_a_stand_in_over_http_on_this_machine() {
        for text in [
            "https://appleid.apple.com",
            "https://appleid.apple.com/auth/token",
            "http://127.0.0.1:9999",
            "http://127.9.9.9",
            "http://[::1]:1",
            "http://localhost:1/x",
        ] {
            assert!(endpoint(text).is_ok(), "{text}");
        }
        for text in [
            "",
            "appleid.apple.com",
            "http://appleid.apple.com",
            "http://localhost.evil.example",
            "http://128.0.0.1",
            "ftp://127.0.0.1",
            "https://u:p@appleid.apple.com",
            "https://appleid.apple.com?x",
            "https://appleid.apple.com#x",
            "file:///etc/passwd",
            "unix:/x",
        ] {
            assert!(endpoint(text).is_err(), "{text}");
        }
    }

    #[test]
    fn apple_sends_browsers_back_to_a_domain_name_over_https() {
        for text in [
            "https://library.school.example/.schoolgate/callback",
            "https://a.school.example:8443/.schoolgate/callback",
        ] {
            assert_eq!(redirect_uri(text, Scheme::Https).unwrap().as_str(), text);
        }
        for (text, why) in [
            ("library.school.example", "not a URL"),
            ("http://a.example/.schoolgate/callback", "not https"),
            ("https://192.0.2.1/.schoolgate/callback", "IP address"),
            ("https://[::1]/.schoolgate/callback", "IP address"),
            ("https://127.1/.schoolgate/callback", "IP address"),
            ("https://localhost/.schoolgate/callback", "localhost"),
            ("https://x.localhost/.schoolgate/callback", "localhost"),
            ("https://a.example/.schoolgate/callback#x", "fragment"),
            ("https://a.example/.schoolgate/callback?x", "query"),
            ("https://u@a.example/.schoolgate/callback", "user name"),
            ("https://a.example/", "another path"),
            ("https://a.example/.schoolgate/callback/", "another path"),
            ("https://A.example/.schoolgate/callback", "unusual"),
            ("https://a.example:443/.schoolgate/callback", "unusual"),
            ("https://a.example/x/../.schoolgate/callback", "unusual"),
        ] {
            let fault = redirect_uri(text, Scheme::Https).unwrap_err();
            assert!(fault.message.contains(why), "{text}: {}", fault.message);
        }
    }

    #[test]
    fn with_plain_http_the_way_back_is_on_localhost() {
        for text in ["http://localhost:8080/.schoolgate/callback", "http://127.0.0.1/.schoolgate/callback"] {
            assert!(redirect_uri(text, Scheme::Http).is_ok(), "{text}");
        }
        for text in [
            "https://localhost/.schoolgate/callback",
            "http://a.example/.schoolgate/callback",
            "http://localhost.a.example/.schoolgate/callback",
            "http://[::1]/.schoolgate/callback",
        ] {
            assert!(redirect_uri(text, Scheme::Http).is_err(), "{text}");
        }
    }
}
