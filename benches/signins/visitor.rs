//! A visitor: a connection to the gateway, the cookies that it gave, and the way through a sign-in.

use std::net::SocketAddr;

use schoolgate::demo::PERSON_HEADER;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::HOST;

/// What a browser says of itself in every request.
const BROWSER: &str = "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
    Chrome/156.0.0.0 Safari/537.36\r\nAccept-Language: de,en;q=0.7\r\nAccept-Encoding: gzip, deflate, br\r\n";

/// What it says of a page in a tab.
const PAGE: &str = "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
    Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n";

/// What it says of a script's request.
const FETCH: &str = "Accept: */*\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\nSec-Fetch-Site: same-origin\r\n";

/// Who reads the answer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A person in a tab.
    Page,
    /// A script.
    Fetch,
}

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// Every value of a header, which is written in lower case here.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> + 'a {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.filter(move |(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub(crate) fn location(&self) -> &str {
        self.all("location").next().unwrap_or_else(|| panic!("no location: {}", self.head))
    }

    /// The first of these words behind a mark in the body.
    fn field(&self, name: &str) -> String {
        let body = String::from_utf8_lossy(&self.body);
        let rest = body.split_once(&format!("name=\"{name}\" value=\"")).unwrap_or_else(|| panic!("{body}")).1;
        rest.split('"').next().unwrap().to_owned()
    }
}

/// A connection that is kept.
pub(crate) struct Connection {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(to: SocketAddr) -> Self {
        let stream = TcpStream::connect(to).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, read: Vec::new() }
    }

    /// Sends a request as it is, and reads the answer, whose length must be told.
    pub(crate) async fn ask(&mut self, request: &str) -> Answer {
        self.stream.write_all(request.as_bytes()).await.unwrap();
        let end = loop {
            if let Some(at) = self.read.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            self.more(request).await;
        };
        let head = String::from_utf8(self.read.drain(..end).collect()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let answer = Answer { status, head, body: Vec::new() };
        let length = answer.all("content-length").next().map_or(0, |length| length.parse().unwrap());
        while self.read.len() < length {
            self.more(request).await;
        }
        Answer { body: self.read.drain(..length).collect(), ..answer }
    }

    async fn more(&mut self, request: &str) {
        let read = self.stream.read_buf(&mut self.read).await.unwrap();
        assert!(read > 0, "closed in the middle of an answer to {request}; so far {:?}", self.read);
    }
}

/// Somebody with a browser.
pub(crate) struct Visitor {
    connection: Connection,
    cookies: Vec<(String, String)>,
}

impl Visitor {
    /// On a connection of their own.
    pub(crate) async fn new(gateway: SocketAddr) -> Self {
        Self { connection: Connection::open(gateway).await, cookies: Vec::new() }
    }

    /// The same person later, on another connection.
    pub(crate) async fn again(gateway: SocketAddr, cookies: Vec<(String, String)>) -> Self {
        Self { connection: Connection::open(gateway).await, cookies }
    }

    /// What their browser keeps.
    pub(crate) fn into_cookies(self) -> Vec<(String, String)> {
        self.cookies
    }

    pub(crate) async fn get(&mut self, target: &str, kind: Kind) -> Answer {
        self.send("GET", target, kind, "").await
    }

    /// Posts a form, as a page of the same host does.
    pub(crate) async fn post(&mut self, target: &str, form: &str) -> Answer {
        self.send("POST", target, Kind::Page, form).await
    }

    async fn send(&mut self, method: &str, target: &str, kind: Kind, form: &str) -> Answer {
        let told = if kind == Kind::Page { PAGE } else { FETCH };
        let mut request = format!("{method} {target} HTTP/1.1\r\nHost: {HOST}\r\n{BROWSER}{told}");
        if !self.cookies.is_empty() {
            let pairs: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request.push_str(&format!("Cookie: {}\r\n", pairs.join("; ")));
        }
        if method == "POST" {
            let length = form.len();
            request.push_str("Content-Type: application/x-www-form-urlencoded\r\nSec-Fetch-Site: same-origin\r\n");
            request.push_str(&format!("Content-Length: {length}\r\n"));
        }
        request.push_str("\r\n");
        request.push_str(form);
        let answer = self.connection.ask(&request).await;
        let set: Vec<_> = answer.all("set-cookie").map(str::to_owned).collect();
        for line in set {
            self.keep(&line);
        }
        answer
    }

    fn keep(&mut self, line: &str) {
        let (name, rest) = line.split_once('=').unwrap();
        self.cookies.retain(|(other, _)| other != name);
        if !line.contains("Max-Age=0") {
            self.cookies.push((name.to_owned(), rest.split(';').next().unwrap().to_owned()));
        }
    }

    /// Throws all cookies away.
    pub(crate) fn forget(&mut self) {
        self.cookies.clear();
    }

    /// 1. Opens a page, and is sent to Apple; gives back where.
    pub(crate) async fn sent_to_apple(&mut self, page: &str) -> String {
        let answer = self.get(page, Kind::Page).await;
        assert_eq!(answer.status, 302, "{}", answer.head);
        answer.location().to_owned()
    }

    /// 3. Comes back from Apple; gives back where it goes on.
    pub(crate) async fn back(&mut self, way: &Way) -> String {
        let answer = match way {
            Way::Query(target) => self.get(target, Kind::Page).await,
            Way::Form(target, form) => self.post(target, form).await,
        };
        assert_eq!(answer.status, 303, "{} {}", answer.head, String::from_utf8_lossy(&answer.body));
        answer.location().to_owned()
    }

    /// 4. Sees the page.
    pub(crate) async fn sees(&mut self, page: &str) {
        let answer = self.get(page, Kind::Page).await;
        assert_eq!(answer.status, 200, "{}", answer.head);
    }
}

/// How somebody comes back from Apple.
pub(crate) enum Way {
    Query(String),
    Form(String, String),
}

/// 2. Apple's page, by somebody who is there already and knows whom to pick.
pub(crate) async fn at_apple(apple: &mut Connection, authorize: &str, person: &str) -> Way {
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\n{PERSON_HEADER}: {person}\r\n\r\n",
        target(authorize),
        authorize.split('/').nth(2).unwrap()
    );
    let answer = apple.ask(&request).await;
    match answer.status {
        200 => {
            let form = format!("code={}&state={}", answer.field("code"), answer.field("state"));
            Way::Form("/.schoolgate/callback".to_owned(), form)
        }
        302 | 303 => Way::Query(target(answer.location()).to_owned()),
        _ => panic!("{} {}", answer.head, String::from_utf8_lossy(&answer.body)),
    }
}

/// Path and query of a URL.
fn target(url: &str) -> &str {
    let rest = url.split_once("://").unwrap().1;
    rest.find('/').map_or("/", |at| &rest[at..])
}
