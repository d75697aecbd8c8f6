//! A browser as far as cookies, redirects and `SameSite` go.

use std::{collections::BTreeMap, net::SocketAddr};

use url::Url;

use super::{Answer, Request};

/// Keeps cookies by host, as host-only cookies are kept.
#[derive(Clone, Debug)]
pub struct Browser {
    gateway: SocketAddr,
    cookies: BTreeMap<(String, String), Cookie>,
    heard: Vec<Answer>,
}

#[derive(Clone, Debug)]
struct Cookie {
    value: String,
    same_site: String,
}

impl Browser {
    pub fn new(gateway: SocketAddr) -> Self {
        Self { gateway, cookies: BTreeMap::new(), heard: Vec::new() }
    }

    /// Opens a page, without following anything.
    pub async fn open(&mut self, url: &str) -> Answer {
        self.send(url, Request::new("GET", &target(url)).navigation(), false).await
    }

    /// A request of a script of the page's own.
    pub async fn fetch(&mut self, url: &str) -> Answer {
        let request =
            Request::new("GET", &target(url)).header("Sec-Fetch-Mode", "cors").header("Sec-Fetch-Dest", "empty");
        self.send(url, request, false).await
    }

    /// Sends anything. `cross_site` says that another site's page causes it, and posts.
    pub async fn send(&mut self, url: &str, request: Request, cross_site: bool) -> Answer {
        let url = Url::parse(url).unwrap();
        let host = url.host_str().unwrap().to_owned();
        let local = url.port().filter(|_| host == "127.0.0.1");
        let address = local.map_or(self.gateway, |port| SocketAddr::from(([127, 0, 0, 1], port)));
        let authority = url.port().map_or(host.clone(), |port| format!("{host}:{port}"));
        let cookies: Vec<_> = self
            .cookies
            .iter()
            .filter(|((of, _), cookie)| *of == host && (!cross_site || cookie.same_site == "None"))
            .map(|((_, name), cookie)| format!("{name}={}", cookie.value))
            .collect();
        let mut request = if request.has_header("host") { request } else { request.header("Host", &authority) };
        if !cookies.is_empty() {
            request = request.header("Cookie", &cookies.join("; "));
        }
        let answer = request.send(address).await;
        for line in answer.all("set-cookie") {
            self.keep(&host, line);
        }
        self.heard.push(answer.clone());
        answer
    }

    fn keep(&mut self, host: &str, line: &str) {
        let mut parts = line.split(';').map(str::trim);
        let (name, value) = parts.next().unwrap().split_once('=').unwrap();
        let attributes: BTreeMap<String, String> = parts
            .map(|part| part.split_once('=').unwrap_or((part, "")))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let key = (host.to_owned(), name.to_owned());
        if attributes.get("max-age").is_some_and(|age| age == "0") {
            self.cookies.remove(&key);
        } else {
            let same_site = attributes.get("samesite").cloned().unwrap_or_default();
            self.cookies.insert(key, Cookie { value: value.to_owned(), same_site });
        }
    }

    /// Every answer so far.
    pub fn heard(&self) -> &[Answer] {
        &self.heard
    }

    /// Finds the gateway at another address from now on.
    pub fn move_to(&mut self, gateway: SocketAddr) {
        self.gateway = gateway;
    }

    /// The value of a cookie.
    pub fn cookie(&self, host: &str, name: &str) -> Option<String> {
        self.cookies.get(&(host.to_owned(), name.to_owned())).map(|cookie| cookie.value.clone())
    }

    /// Names of the cookies of a host.
    pub fn cookie_names(&self, host: &str) -> Vec<String> {
        self.cookies.keys().filter(|(of, _)| of == host).map(|(_, name)| name.clone()).collect()
    }

    pub fn set_cookie(&mut self, host: &str, name: &str, value: &str) {
        let cookie = Cookie { value: value.to_owned(), same_site: "Lax".to_owned() };
        self.cookies.insert((host.to_owned(), name.to_owned()), cookie);
    }

    pub fn forget(&mut self) {
        self.cookies.clear();
    }
}

/// Path and query of a URL, exactly as they are written.
pub fn target(url: &str) -> String {
    let rest = url.split_once("://").unwrap().1;
    rest.find('/').map_or_else(|| "/".to_owned(), |at| rest[at..].to_owned())
}
