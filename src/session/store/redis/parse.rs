//! Reads the URL of Redis, and says of each mistake what to write instead.

use std::{net::Ipv6Addr, path::PathBuf};

use percent_encoding::percent_decode_str;

use super::url::{Node, Password, RedisUrl, Tls, Topology};

/// Largest number of a database: Redis keeps it in a signed integer.
const MOST_DATABASES: u32 = i32::MAX.unsigned_abs();

/// Why a text is no URL of Redis. Reads on from the text, and tells after the semicolon what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlProblem {
    /// Another scheme, or none.
    #[error(
        "begins like no URL of Redis; write redis://host:6379, redis+sentinel:// or redis+cluster://, with rediss for TLS"
    )]
    Scheme,
    /// No host.
    #[error("names no host; write redis://host:6379")]
    NoHost,
    /// Several hosts where one is meant.
    #[error("names several hosts; write redis+sentinel:// or redis+cluster://, whichever they are")]
    SeveralHosts,
    /// A host with characters that no host has.
    #[error("has a host that is none; write a name or an address, an IPv6 address in brackets")]
    Host,
    /// A port that is none.
    #[error("has a port that is none; write a number from 1 to 65535 after the host")]
    Port,
    /// One host twice.
    #[error("names a host twice; name each once")]
    Twice,
    /// No name of what the Sentinels watch.
    #[error("names no service; write after the hosts what the Sentinels call it: redis+sentinel://host:26379/mymaster")]
    NoService,
    /// A service with odd characters.
    #[error("has a service that no Sentinel knows; write the name of its line sentinel monitor")]
    Service,
    /// A database that is no number.
    #[error("has a database that is no number; write redis://host:6379/0")]
    Database,
    /// A cluster has one database.
    #[error("has a database other than 0, and a cluster has no other; leave it out")]
    ClusterDatabase,
    /// A path that goes on.
    #[error("goes on after what belongs there; leave out what follows")]
    Path,
    /// A user without a password.
    #[error(
        "has a user without a password; write redis://user:password@host, redis://:password@host, or ?password_file="
    )]
    NoPassword,
    /// A password that is empty.
    #[error("has an empty password; write it after the colon, or leave out the colon")]
    EmptyPassword,
    /// Two passwords.
    #[error("has a password and a password_file; keep the file")]
    TwoPasswords,
    /// A bad percent-encoding.
    #[error("is not well encoded; write % as %25, and other odd characters of a password as % and two digits")]
    Encoding,
    /// A character that ends the password early.
    #[error("has an @ after a slash, a question mark or #; write in a password / as %2F, ? as %3F and # as %23")]
    Delimiter,
    /// A fragment.
    #[error("has a #; leave out what follows, or write it as %23 in a password")]
    Fragment,
    /// A setting that is none.
    #[error(
        "has a setting that is none; known after the ?: password_file, ca_file, certificate_file, private_key_file"
    )]
    Setting,
    /// A setting twice.
    #[error("has a setting twice; keep one")]
    SettingTwice,
    /// A setting without a value.
    #[error("has a setting without a value; write ?password_file=/path/to/file")]
    SettingEmpty,
    /// Certificates without TLS.
    #[error("has certificates and no TLS; write rediss in the place of redis")]
    CertificatesWithoutTls,
    /// A certificate without its key, or the other way round.
    #[error("has one of certificate_file and private_key_file; give both or none")]
    HalfCertificate,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    One,
    Sentinel,
    Cluster,
}

impl RedisUrl {
    /// Reads a URL:
    /// `redis://[user:password@]host[:port][/database]`,
    /// `redis+sentinel://[user:password@]host[:port],…/service[/database]` or
    /// `redis+cluster://[user:password@]host[:port],…`; with `rediss` for TLS, and with
    /// `?password_file=`, `&ca_file=`, `&certificate_file=` and `&private_key_file=`.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &str) -> Result<Self, UrlProblem> {
        let (scheme, rest) = text.split_once("://").ok_or(UrlProblem::Scheme)?;
        let (kind, has_tls) = match scheme {
            "redis" => (Kind::One, false),
            "rediss" => (Kind::One, true),
            "redis+sentinel" => (Kind::Sentinel, false),
            "rediss+sentinel" => (Kind::Sentinel, true),
            "redis+cluster" => (Kind::Cluster, false),
            "rediss+cluster" => (Kind::Cluster, true),
            _ => return Err(UrlProblem::Scheme),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        if rest.contains('@') {
            return Err(UrlProblem::Delimiter);
        }
        if rest.contains('#') {
            return Err(UrlProblem::Fragment);
        }
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (login, hosts) =
            authority.rsplit_once('@').map_or((None, authority), |(login, hosts)| (Some(login), hosts));
        let nodes = nodes(hosts, if kind == Kind::Sentinel { 26_379 } else { 6_379 })?;
        let settings = settings(query)?;
        let (user, password) = credentials(login, settings.password_file.is_some())?;
        let tls = tls(has_tls, &settings)?;
        let (topology, database) = topology(kind, nodes, path)?;
        let password_file = settings.password_file.map(PathBuf::from);
        Ok(Self { topology, database, user, password, password_file, tls })
    }
}

fn nodes(hosts: &str, usual_port: u16) -> Result<Vec<Node>, UrlProblem> {
    let mut nodes = Vec::new();
    for text in hosts.split(',') {
        let node = node(text, usual_port)?;
        if nodes.contains(&node) {
            return Err(UrlProblem::Twice);
        }
        nodes.push(node);
    }
    Ok(nodes)
}

fn node(text: &str, usual_port: u16) -> Result<Node, UrlProblem> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']').ok_or(UrlProblem::Host)?;
            address.parse::<Ipv6Addr>().map_err(|_| UrlProblem::Host)?;
            let port = if port.is_empty() { None } else { Some(port.strip_prefix(':').ok_or(UrlProblem::Host)?) };
            (address, port)
        }
        None => {
            let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
            if host.is_empty() {
                return Err(UrlProblem::NoHost);
            }
            let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
            if !host.bytes().all(is_fine) {
                return Err(UrlProblem::Host);
            }
            (host, port)
        }
    };
    let port = match port {
        None => usual_port,
        Some(port) => number(port).and_then(|port| u16::try_from(port).ok()).ok_or(UrlProblem::Port)?,
    };
    if port == 0 {
        return Err(UrlProblem::Port);
    }
    Ok(Node { host: host.to_ascii_lowercase(), port })
}

/// Digits alone: Rust's own parser would take a sign.
fn number(text: &str) -> Option<u32> {
    let fine = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if fine { text.parse().ok() } else { None }
}

fn decoded(text: &str) -> Result<String, UrlProblem> {
    let mut rest = text;
    while let Some((_, after)) = rest.split_once('%') {
        let digits = after.as_bytes().get(..2).ok_or(UrlProblem::Encoding)?;
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(UrlProblem::Encoding);
        }
        rest = &after[2..];
    }
    let text = percent_decode_str(text).decode_utf8().map_err(|_| UrlProblem::Encoding)?;
    Ok(text.into_owned())
}

fn credentials(login: Option<&str>, has_file: bool) -> Result<(Option<String>, Option<Password>), UrlProblem> {
    let Some(login) = login else { return Ok((None, None)) };
    let (user, password) = login.split_once(':').map_or((login, None), |(user, password)| (user, Some(password)));
    match password {
        Some("") => return Err(UrlProblem::EmptyPassword),
        Some(_) if has_file => return Err(UrlProblem::TwoPasswords),
        None if !has_file || user.is_empty() => return Err(UrlProblem::NoPassword),
        Some(_) | None => {}
    }
    let user = Some(decoded(user)?).filter(|user| !user.is_empty());
    Ok((user, password.map(decoded).transpose()?.map(Password::new)))
}

#[derive(Default)]
struct Settings {
    password_file: Option<String>,
    ca_file: Option<String>,
    certificate_file: Option<String>,
    private_key_file: Option<String>,
}

fn settings(query: &str) -> Result<Settings, UrlProblem> {
    let mut settings = Settings::default();
    for setting in query.split('&').filter(|setting| !setting.is_empty()) {
        let (name, value) = setting.split_once('=').unwrap_or((setting, ""));
        let place = match name {
            "password_file" => &mut settings.password_file,
            "ca_file" => &mut settings.ca_file,
            "certificate_file" => &mut settings.certificate_file,
            "private_key_file" => &mut settings.private_key_file,
            _ => return Err(UrlProblem::Setting),
        };
        if value.is_empty() {
            return Err(UrlProblem::SettingEmpty);
        }
        if place.replace(decoded(value)?).is_some() {
            return Err(UrlProblem::SettingTwice);
        }
    }
    Ok(settings)
}

fn tls(has_tls: bool, settings: &Settings) -> Result<Option<Tls>, UrlProblem> {
    let file = |text: &Option<String>| text.as_ref().map(PathBuf::from);
    let ca_file = file(&settings.ca_file);
    let client = match (file(&settings.certificate_file), file(&settings.private_key_file)) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        (Some(_), None) | (None, Some(_)) => return Err(UrlProblem::HalfCertificate),
    };
    if !has_tls && (ca_file.is_some() || client.is_some()) {
        return Err(UrlProblem::CertificatesWithoutTls);
    }
    Ok(has_tls.then_some(Tls { ca_file, client }))
}

fn topology(kind: Kind, mut nodes: Vec<Node>, path: &str) -> Result<(Topology, u32), UrlProblem> {
    let mut parts =
        path.strip_prefix('/').unwrap_or(path).split('/').map(|part| Some(part).filter(|it| !it.is_empty()));
    let service = if kind == Kind::Sentinel { parts.next().flatten() } else { None };
    let database = match parts.next().flatten() {
        None => 0,
        Some(text) => number(text).filter(|it| *it <= MOST_DATABASES).ok_or(UrlProblem::Database)?,
    };
    if parts.next().is_some() {
        return Err(UrlProblem::Path);
    }
    let topology = match kind {
        Kind::One => {
            let node = nodes.pop().ok_or(UrlProblem::NoHost)?;
            if !nodes.is_empty() {
                return Err(UrlProblem::SeveralHosts);
            }
            Topology::One(node)
        }
        Kind::Sentinel => {
            let service = decoded(service.ok_or(UrlProblem::NoService)?)?;
            // What `sentinel monitor` accepts.
            if !service.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte)) {
                return Err(UrlProblem::Service);
            }
            Topology::Sentinel { nodes, service }
        }
        Kind::Cluster if database != 0 => return Err(UrlProblem::ClusterDatabase),
        Kind::Cluster => Topology::Cluster(nodes),
    };
    Ok((topology, database))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn node(host: &str, port: u16) -> Node {
        Node { host: host.into(), port }
    }

    fn parse(text: &str) -> RedisUrl {
        RedisUrl::parse(text).unwrap_or_else(|problem| panic!("{text} {problem}"))
    }

    #[test]
    fn one_server_is_named_with_what_is_usual() {
        let url = parse("redis://db.school.example");
        assert_eq!(url.topology, Topology::One(node("db.school.example", 6379)));
        assert!(url.database == 0 && url.user.is_none() && url.password.is_none() && url.tls.is_none());
        let url = parse("rediss://sg:s%2Fcr%40t:x@[::1]:7000/3?ca_file=%2Fetc/ca.pem&");
        assert_eq!((url.topology.clone(), url.database), (Topology::One(node("::1", 7000)), 3));
        assert_eq!((url.user.as_deref(), url.password.as_ref().unwrap().expose()), (Some("sg"), "s/cr@t:x"));
        assert_eq!(url.tls.unwrap().ca_file.unwrap(), Path::new("/etc/ca.pem"));
        assert_eq!(parse("redis://:pw@h/").user, None);
    }

    #[test]
    fn sentinels_and_clusters_are_named_too() {
        let url = parse("redis+sentinel://:pw@A,b:26380/my-master/2");
        let nodes = vec![node("a", 26379), node("b", 26380)];
        assert_eq!(url.topology, Topology::Sentinel { nodes, service: "my-master".into() });
        assert_eq!(url.database, 2);
        let url = parse("rediss+cluster://a:7000,b/0");
        assert_eq!(url.topology, Topology::Cluster(vec![node("a", 7000), node("b", 6379)]));
        assert!(url.tls.is_some());
    }

    #[test]
    fn a_user_may_have_the_password_in_a_file() {
        let url = parse("redis://sg@h?password_file=$CREDENTIALS_DIRECTORY/redis");
        assert_eq!(url.user.as_deref(), Some("sg"));
        assert_eq!(url.password_file.as_deref(), Some(Path::new("$CREDENTIALS_DIRECTORY/redis")));
        let moved = url.map_files(|path| Ok::<_, ()>(Path::new("/x").join(path))).unwrap();
        assert_eq!(moved.password_file.unwrap(), Path::new("/x/$CREDENTIALS_DIRECTORY/redis"));
    }

    #[test]
    fn every_file_is_named_and_can_be_moved() {
        let url = parse("rediss://h?password_file=p&ca_file=a&certificate_file=c&private_key_file=k");
        let moved = url.map_files(|path| Ok::<_, ()>(Path::new("/x").join(path))).unwrap();
        let files: Vec<_> = moved.files().collect();
        let expected = [
            ("password_file", Path::new("/x/p"), true),
            ("ca_file", Path::new("/x/a"), false),
            ("certificate_file", Path::new("/x/c"), false),
            ("private_key_file", Path::new("/x/k"), true),
        ];
        assert_eq!(files, expected);
        assert!(parse("redis://h?password_file=p").map_files(|_| Err::<PathBuf, _>("no")).is_err());
    }

    #[test]
    fn every_mistake_has_a_cure() {
        use UrlProblem as P;
        for (text, problem) in [
            ("redis:h", P::Scheme),
            ("http://h", P::Scheme),
            ("redis+unix://h", P::Scheme),
            ("redis://", P::NoHost),
            ("redis://:6379", P::NoHost),
            ("redis://:pw@", P::NoHost),
            ("redis+cluster://a,,b", P::NoHost),
            ("redis://a,b", P::SeveralHosts),
            ("redis://h h", P::Host),
            ("redis://::1", P::NoHost),
            ("redis://[::g]", P::Host),
            ("redis://[::1", P::Host),
            ("redis://[::1]6379", P::Host),
            ("redis://h:", P::Port),
            ("redis://h:0", P::Port),
            ("redis://h:+1", P::Port),
            ("redis://h:65536", P::Port),
            ("redis+cluster://a,A:6379", P::Twice),
            ("redis+sentinel://a,b", P::NoService),
            ("redis+sentinel://a/", P::NoService),
            ("redis+sentinel://a/my%20master", P::Service),
            ("redis://h/x", P::Database),
            ("redis://h/-1", P::Database),
            ("redis://h/4294967295", P::Database),
            ("redis+cluster://h/1", P::ClusterDatabase),
            ("redis://h/1/2", P::Path),
            ("redis://pw@h", P::NoPassword),
            ("redis://@h?password_file=x", P::NoPassword),
            ("redis://sg:@h", P::EmptyPassword),
            ("redis://:pw@h?password_file=x", P::TwoPasswords),
            ("redis://:p%w@h", P::Encoding),
            ("redis://:%ff@h", P::Encoding),
            ("redis://:p/w@h", P::Delimiter),
            ("redis://:p#w@h", P::Delimiter),
            ("redis://h#x", P::Fragment),
            ("redis://h?db=1", P::Setting),
            ("redis://h?password_file=a&password_file=b", P::SettingTwice),
            ("redis://h?password_file", P::SettingEmpty),
            ("redis://h?ca_file=x", P::CertificatesWithoutTls),
            ("rediss://h?certificate_file=x", P::HalfCertificate),
        ] {
            let Err(found) = RedisUrl::parse(text) else { panic!("{text} is accepted") };
            assert!(found == problem, "{text} {found}");
            assert!(found.to_string().contains("; "), "{found}");
        }
    }

    #[test]
    fn nothing_shows_the_password() {
        let url = parse("rediss+sentinel://sg:hunter2@a,[::1]:1/m/2");
        assert_eq!(url.to_string(), "rediss+sentinel://a:26379,[::1]:1/m/2");
        assert!(!format!("{url:?} {url}").contains("hunter2"));
        assert_eq!(parse("redis://:hunter2@h").to_string(), "redis://h:6379/0");
        assert_eq!(parse("redis+cluster://h,i").to_string(), "redis+cluster://h:6379,i:6379");
    }

    #[test]
    fn a_server_of_this_machine_is_known_as_one() {
        for (text, local) in [
            ("redis://localhost", true),
            ("redis://127.0.0.2", true),
            ("redis://[::1]", true),
            ("redis://db", false),
            ("redis+cluster://127.0.0.1,db", false),
        ] {
            assert_eq!(parse(text).is_local(), local, "{text}");
        }
    }
}
