//! A browser as far as cookies, with path, domain and `SameSite`, and redirects go.

use std::{collections::BTreeMap, net::SocketAddr};

use url::Url;

use super::{Answer, Request, TlsClient, http::Unanswered};

/// Keeps cookies as RFC 6265bis, section 5.7, has it: by name, domain and path.
#[derive(Clone, Debug)]
pub struct Browser {
    gateway: SocketAddr,
    cookies: Vec<Cookie>,
    heard: Vec<Answer>,
    tls: Option<TlsClient>,
}

#[derive(Clone, Debug)]
struct Cookie {
    name: String,
    value: String,
    /// The host, or with `below` also all hosts below it.
    domain: String,
    below: bool,
    path: String,
    same_site: String,
}

impl Cookie {
    fn is_at(&self, other: &Self) -> bool {
        let place = |cookie: &Self| (cookie.name.clone(), cookie.domain.clone(), cookie.below, cookie.path.clone());
        place(self) == place(other)
    }

    fn is_for(&self, host: &str) -> bool {
        host == self.domain || self.below && host.ends_with(&format!(".{}", self.domain))
    }

    /// RFC 6265bis, section 5.1.4.
    fn covers(&self, path: &str) -> bool {
        path.strip_prefix(&*self.path)
            .is_some_and(|rest| rest.is_empty() || self.path.ends_with('/') || rest.starts_with('/'))
    }
}

impl Browser {
    pub fn new(gateway: SocketAddr) -> Self {
        Self { gateway, cookies: Vec::new(), heard: Vec::new(), tls: None }
    }

    /// The same, in TLS at the gateway.
    pub fn with_tls(self, client: TlsClient) -> Self {
        Self { tls: Some(client), ..self }
    }

    /// Opens a page, without following anything.
    pub async fn open(&mut self, url: &str) -> Answer {
        self.send(url, Request::new("GET", &target(url)).navigation(), false).await
    }

    /// A request of a script of the page's own.
    pub async fn fetch(&mut self, url: &str) -> Answer {
        self.send(url, script(url), false).await
    }

    /// Opens a page of a gateway that may be killed meanwhile.
    pub async fn try_open(&mut self, url: &str) -> Result<Answer, Unanswered> {
        self.try_send(url, Request::new("GET", &target(url)).navigation()).await
    }

    /// A request of a script to a gateway that may be killed meanwhile.
    pub async fn try_fetch(&mut self, url: &str) -> Result<Answer, Unanswered> {
        self.try_send(url, script(url)).await
    }

    /// Sends anything. `cross_site` says that another site's page causes it, and posts.
    pub async fn send(&mut self, url: &str, request: Request, cross_site: bool) -> Answer {
        let url = Url::parse(url).unwrap();
        let (address, request) = self.addressed(&url, request, cross_site);
        let answer = match self.tls.as_ref().filter(|_| address == self.gateway) {
            Some(client) => request.send_over(&mut client.open(address, url.host_str().unwrap()).await).await,
            None => request.send(address).await,
        };
        self.take(&url, &answer);
        answer
    }

    async fn try_send(&mut self, url: &str, request: Request) -> Result<Answer, Unanswered> {
        let url = Url::parse(url).unwrap();
        let (address, request) = self.addressed(&url, request, false);
        let answer = request.try_send(address).await?;
        self.take(&url, &answer);
        Ok(answer)
    }

    /// Where a request goes, and how it looks when it leaves.
    fn addressed(&self, url: &Url, request: Request, cross_site: bool) -> (SocketAddr, Request) {
        let host = url.host_str().unwrap();
        let local = url.port().filter(|_| host == "127.0.0.1");
        let address = local.map_or(self.gateway, |port| SocketAddr::from(([127, 0, 0, 1], port)));
        let authority = url.port().map_or(host.to_owned(), |port| format!("{host}:{port}"));
        let sent = |cookie: &&Cookie| {
            cookie.is_for(host)
                && cookie.covers(url.path())
                && (!cross_site || cookie.same_site.eq_ignore_ascii_case("none"))
        };
        let mut cookies: Vec<_> = self.cookies.iter().filter(sent).collect();
        // Longer paths first.
        cookies.sort_by_key(|cookie| std::cmp::Reverse(cookie.path.len()));
        let cookies: Vec<_> = cookies.iter().map(|cookie| format!("{}={}", cookie.name, cookie.value)).collect();
        let mut request = if request.has_header("host") { request } else { request.header("Host", &authority) };
        if !cookies.is_empty() {
            request = request.header("Cookie", &cookies.join("; "));
        }
        (address, request)
    }

    fn take(&mut self, url: &Url, answer: &Answer) {
        for line in answer.all("set-cookie") {
            self.keep(url.host_str().unwrap(), url.path(), line);
        }
        self.heard.push(answer.clone());
    }

    fn keep(&mut self, host: &str, path: &str, line: &str) {
        let mut parts = line.split(';').map(str::trim);
        let (name, value) = parts.next().unwrap().split_once('=').unwrap();
        let attributes: BTreeMap<String, String> = parts
            .map(|part| part.split_once('=').unwrap_or((part, "")))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let attribute = |name: &str| attributes.get(name).map(String::as_str).unwrap_or_default();
        let domain = attribute("domain").trim_start_matches('.').to_ascii_lowercase();
        let folder = path.rfind('/').filter(|at| *at > 0).map_or("/", |at| &path[..at]);
        let path = Some(attribute("path")).filter(|path| path.starts_with('/')).unwrap_or(folder);
        let below = !domain.is_empty();
        let cookie = Cookie {
            name: name.to_owned(),
            value: value.to_owned(),
            domain: if below { domain } else { host.to_owned() },
            below,
            path: path.to_owned(),
            same_site: attribute("samesite").to_owned(),
        };
        let whole_host = !cookie.below && cookie.path == "/";
        let secure = attributes.contains_key("secure");
        if !cookie.is_for(host) || name.starts_with("__Host-") && !(whole_host && secure) {
            return;
        }
        self.cookies.retain(|known| !known.is_at(&cookie));
        let is_over = attribute("max-age") == "0" || attribute("expires").contains("1970");
        if !is_over {
            self.cookies.push(cookie);
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

    /// The value of a cookie, whatever its path.
    pub fn cookie(&self, host: &str, name: &str) -> Option<String> {
        self.cookies.iter().find(|cookie| cookie.is_for(host) && cookie.name == name).map(|cookie| cookie.value.clone())
    }

    /// Names of the cookies of a host.
    pub fn cookie_names(&self, host: &str) -> Vec<String> {
        let mut names: Vec<_> =
            self.cookies.iter().filter(|cookie| cookie.is_for(host)).map(|cookie| cookie.name.clone()).collect();
        names.sort();
        names
    }

    pub fn set_cookie(&mut self, host: &str, name: &str, value: &str) {
        self.keep(host, "/", &format!("{name}={value}; Path=/; Secure; SameSite=Lax"));
    }

    /// Sets a cookie as an answer of `url` would.
    pub fn set_by(&mut self, url: &str, line: &str) {
        let url = Url::parse(url).unwrap();
        self.keep(url.host_str().unwrap(), url.path(), line);
    }

    pub fn forget(&mut self) {
        self.cookies.clear();
    }
}

fn script(url: &str) -> Request {
    Request::new("GET", &target(url)).header("Sec-Fetch-Mode", "cors").header("Sec-Fetch-Dest", "empty")
}

/// Path and query of a URL, exactly as they are written.
pub fn target(url: &str) -> String {
    let rest = url.split_once("://").unwrap().1;
    rest.find('/').map_or_else(|| "/".to_owned(), |at| rest[at..].to_owned())
}
