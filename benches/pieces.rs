//! What the pieces cost through which every request goes. `cargo bench --bench pieces`, or some of them by a part of their
//! name. `make count` has the whole request.
#![allow(clippy::expect_used, clippy::unwrap_used, missing_docs, reason = "it measures, or ends")]

use std::{borrow::Cow, hint::black_box, sync::Arc, time::Duration};

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use futures_util::FutureExt;
use http::{HeaderName, HeaderValue, Method};
use pingora::http::RequestHeader;
use schoolgate::{
    clock::{Clock, SharedClock, SystemClock},
    entropy::SystemEntropy,
    identity::{Email, Organization, Person, ScopeSet, Subject},
    policy::{
        Access, Allow, App, Decision, HeaderSet, Protocol, Route, Table, Unauthenticated, Upstream, Values, Variable,
        decide,
    },
    proxy::wire::Head,
    secret::Secret,
    session::{Device, Grant, Handle, IdToken, Lifetimes, MemoryStore, Record, SessionId, Sessions, Store, Stored},
    web::{CanonicalPath, CookieJar, FoldedName, Host, HostPattern, Kind, PathPrefix, Scheme},
};

#[path = "common/mod.rs"]
mod common;

use common::BROWSER;

/// The allocator of the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const COOKIE: &str = "__Host-schoolgate";

/// What a browser sends, but for the cookies; the host first.
fn headers() -> Vec<(&'static str, &'static str)> {
    let fetched = [
        ("Sec-Fetch-Site", "same-origin"),
        ("Sec-Fetch-Mode", "cors"),
        ("Sec-Fetch-Dest", "empty"),
        ("Referer", "https://library.school.example/shelves/12?sort=title"),
    ];
    [&[("Host", "library.school.example")], &BROWSER[..], &fetched].concat()
}

/// Our cookie behind so many of the app.
fn cookies(count: usize, value_length: usize) -> String {
    let others = (1..count).map(|number| format!("app_cookie_{number}={}; ", "v".repeat(value_length)));
    others.collect::<String>() + COOKIE + "=" + SessionId::draw(&SystemEntropy).expose()
}

/// The strict reader: every byte is judged before pingora sees one.
fn canonical_request(c: &mut Criterion) {
    let mut group = c.benchmark_group("canonical request");
    for (name, target, cookies) in [
        ("short", "/", None),
        ("browser", "/books/1984/pages/17?find=winston&view=print", Some(cookies(4, 8))),
        ("20 cookies", "/books/1984/pages/17?find=winston&view=print", Some(cookies(20, 16))),
        ("4 KB of cookies", "/books/1984/pages/17?find=winston&view=print", Some(cookies(20, 188))),
    ] {
        let mut text = format!("GET {target} HTTP/1.1\r\n");
        let headers = headers();
        let fields = if cookies.is_some() { &headers } else { &headers[..1] };
        fields.iter().for_each(|(name, value)| text.push_str(&format!("{name}: {value}\r\n")));
        cookies.iter().for_each(|cookies| text.push_str(&format!("Cookie: {cookies}\r\n")));
        text.push_str("\r\n");
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(name, |b| {
            b.iter(|| Head::parse(black_box(text.as_bytes()), 16 << 10).unwrap().unwrap());
        });
    }
    group.finish();
}

/// Which names a client may not send, in whatever spelling.
fn reserved_names(c: &mut Criterion) {
    let app = app(1);
    let mut group = c.benchmark_group("reserved names");
    let headers = headers();
    group.throughput(Throughput::Elements(headers.len() as u64));
    group.bench_function("folded", |b| {
        b.iter(|| headers.iter().map(|(name, _)| FoldedName::of(black_box(name)).as_str().len()).sum::<usize>());
    });
    group.bench_function("asked for", |b| {
        b.iter(|| headers.iter().filter(|(name, _)| app.reserves(&FoldedName::of(black_box(name)))).count());
    });
    group.finish();
}

/// From the field to the key of the session, and what is left for the app.
fn cookie(c: &mut Criterion) {
    let mut group = c.benchmark_group("cookies");
    for (name, cookies) in
        [("1", cookies(1, 0)), ("4", cookies(4, 8)), ("20", cookies(20, 16)), ("4 KB", cookies(20, 188))]
    {
        group.throughput(Throughput::Bytes(cookies.len() as u64));
        group.bench_function(BenchmarkId::new("session", name), |b| {
            b.iter(|| {
                let jar = CookieJar::parse([black_box(cookies.as_bytes())]);
                jar.values(COOKIE).find_map(SessionId::parse).unwrap().key()
            });
        });
        group.bench_function(BenchmarkId::new("kept back", name), |b| {
            b.iter(|| {
                CookieJar::parse([black_box(cookies.as_bytes())]).without(|name, _| name.starts_with(COOKIE.as_bytes()))
            });
        });
    }
    group.finish();
}

/// From the key of a session to the session.
fn session_lookup(c: &mut Criterion) {
    let mut group = c.benchmark_group("session lookup");
    group.throughput(Throughput::Elements(1));
    for count in [1, 100_000] {
        let (sessions, ids) = sessions(count);
        let mut at = 0;
        group.bench_function(BenchmarkId::new("memory", count), |b| {
            b.iter(|| {
                // Far from the last one.
                at = (at + 7919) % ids.len();
                sessions.open(&ids[at]).now_or_never().expect("at once").unwrap().unwrap()
            });
        });
    }
    group.finish();
}

/// Which route, and whether it lets the session in.
fn decision(c: &mut Criterion) {
    let (sessions, ids) = sessions(1);
    let session = sessions.open(&ids[0]).now_or_never().expect("at once").unwrap();
    let host = Host::parse("library.school.example").unwrap();
    let mut group = c.benchmark_group("decision");
    group.throughput(Throughput::Elements(1));
    for count in [1, 100, 1000] {
        let table = Table::new([app(count)]);
        let path = CanonicalPath::parse(&format!("{}/pages/17", place(count / 2).trim_end_matches('/'))).unwrap();
        group.bench_function(BenchmarkId::new("routes", count), |b| {
            b.iter(|| {
                let lookup = table.find(black_box(&host), &Method::GET, black_box(&path)).unwrap();
                let decision = decide(lookup, Kind::Navigation, session.as_ref());
                assert!(matches!(decision, Decision::Admit(_)));
                decision
            });
        });
    }
    group.finish();
}

/// What the app is told of a person: filled in when a session changes, put into the head of every request.
fn header_injection(c: &mut Criterion) {
    let (set, record) = (HeaderSet::standard(), record());
    let values = Told(&record);
    let fill = || -> Vec<(HeaderName, HeaderValue)> {
        set.iter().filter_map(|(name, template)| Some((name.clone(), template.fill(&values)?))).collect()
    };
    let prepared = fill();
    let mut head = RequestHeader::build("GET", b"/", None).unwrap();
    for (name, value) in headers() {
        head.append_header(name, value).unwrap();
    }
    let mut group = c.benchmark_group("header injection");
    group.throughput(Throughput::Elements(prepared.len() as u64));
    group.bench_function("filled in", |b| b.iter(fill));
    group.bench_function("put in", |b| {
        let put = |mut head: RequestHeader| {
            for (name, value) in &prepared {
                head.insert_header(name.clone(), value.clone()).unwrap();
            }
            head
        };
        b.iter_batched(|| head.clone(), put, BatchSize::SmallInput);
    });
    group.bench_function("taken out", |b| {
        let full = prepared.iter().fold(head.clone(), |mut head, (name, value)| {
            head.insert_header(name.clone(), value.clone()).unwrap();
            head
        });
        let take = |mut head: RequestHeader| {
            prepared.iter().for_each(|(name, _)| drop(head.remove_header(name)));
            head
        };
        b.iter_batched(|| full.clone(), take, BatchSize::SmallInput);
    });
    group.finish();
}

/// Where the app of a route has its pages.
fn place(number: usize) -> String {
    if number == 0 { "/".into() } else { format!("/section-{number}/books") }
}

/// An app with so many routes, all of which take a session.
fn app(routes: usize) -> App {
    let route = |number| Route {
        prefix: PathPrefix::new(CanonicalPath::parse(&place(number)).unwrap()),
        methods: Vec::new(),
        access: Access::Required,
        scopes: ScopeSet::new(),
        unauthenticated: Unauthenticated::Auto,
        headers: HeaderSet::standard(),
        allow: Allow::default(),
    };
    let upstream = Upstream {
        scheme: Scheme::Http,
        protocol: Protocol::Negotiated,
        host: Host::parse("127.0.0.1").unwrap(),
        port: 9000,
    };
    let host = HostPattern::parse("library.school.example").unwrap();
    App::new("library".into(), host, vec![upstream], (0..routes).map(route).collect())
}

/// So many sessions in memory.
fn sessions(count: usize) -> (Arc<Sessions>, Vec<SessionId>) {
    let hours = |hours: u64| Duration::from_secs(hours * 3600);
    let lifetimes = Lifetimes { idle_timeout: hours(8), max_lifetime: hours(24) };
    let clock: SharedClock = Arc::new(SystemClock);
    let store = Arc::new(MemoryStore::new(lifetimes, Arc::clone(&clock)));
    let ids: Vec<_> = (0..count).map(|_| SessionId::draw(&SystemEntropy)).collect();
    for id in &ids {
        let stored = Stored { record: Arc::new(record()), last_seen: clock.now() };
        store.insert(id.key(), stored).now_or_never().expect("at once").unwrap();
    }
    (Sessions::new(lifetimes, store, clock, Arc::new(SystemEntropy)), ids)
}

fn record() -> Record {
    let now = SystemClock.now();
    let scopes = ScopeSet::parse("edu.users.read edu.classes.read").unwrap();
    let person = Person {
        subject: Subject::parse("000123.0123456789abcdef0123456789abcdef.0123").unwrap(),
        organization: Some(Organization::parse("7f3a2c1e-6b5d-4e0f-9a8b-1c2d3e4f5a6b").unwrap()),
        email: Some(Email { address: "anna.teacher@school.example".into(), verified: true }),
        is_private_email: Some(false),
        auth_time: Some(now.seconds()),
    };
    Record {
        handle: Handle::draw(&SystemEntropy),
        id_token: IdToken::new(&Secret::new("i".repeat(900)), &person),
        person,
        grant: Grant {
            access_token: Secret::new("a".repeat(300)),
            access_expires_at: now.plus(Duration::from_secs(3600)),
            refresh_token: Some(Secret::new("r".repeat(300))),
            refreshed_at: None,
            scopes: scopes.clone(),
        },
        asked: scopes,
        device: Device::new([192, 0, 2, 7].into(), None),
        created: now,
        generation: 0,
    }
}

/// What templates ask for.
struct Told<'a>(&'a Record);

impl Values for Told<'_> {
    fn value(&self, variable: &Variable) -> Option<Cow<'_, str>> {
        if *variable == Variable::AccessToken {
            return Some(self.0.grant.access_token.expose().into());
        }
        variable.of_person(&self.0.person, &self.0.grant.scopes)
    }
}

criterion_group!(pieces, canonical_request, reserved_names, cookie, session_lookup, decision, header_injection);
criterion_main!(pieces);
