//! Which app and which route a request meets.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use http::Method;

use super::{App, Route};
use crate::{
    identity::ScopeSet,
    web::{CanonicalPath, Host, HostPattern, PathIndex, ReturnPath, Target},
};

/// Why a request meets no route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Miss {
    /// No app has this host.
    Host,
    /// No rule covers this path.
    Path,
    /// Rules cover the path, none of them this method.
    Method,
    /// An app might read the path as one that another rule covers.
    Ambiguous,
}

/// An app and one of its routes.
#[derive(Clone, Debug)]
pub struct Lookup {
    pub(super) app: Arc<App>,
    pub(super) index: usize,
}

impl Lookup {
    /// The app.
    #[must_use]
    pub fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// The route.
    #[must_use]
    pub fn route(&self) -> &Route {
        &self.app.routes[self.index]
    }

    /// The number of the route in [`Table::names`].
    #[must_use]
    pub fn number(&self) -> usize {
        self.app.first + self.index
    }
}

/// All apps, by host.
#[derive(Clone, Debug, Default)]
pub struct Table {
    apps: Vec<Arc<App>>,
    by_host: HashMap<Host, Arc<App>>,
    by_parent: HashMap<Host, Arc<App>>,
}

impl Table {
    /// A table of apps. Of two apps with one host the later stays; the configuration refuses that.
    #[must_use]
    pub fn new(apps: impl IntoIterator<Item = App>) -> Self {
        let mut table = Self::default();
        let mut first = 0;
        for mut app in apps {
            app.first = first;
            app.number = table.apps.len();
            // One more for requests that meet no route of the app.
            first += app.routes.len() + 1;
            app.index = PathIndex::new(app.routes.iter().map(|route| &route.prefix));
            let app = Arc::new(app);
            match &app.host {
                HostPattern::One(host) => table.by_host.insert(host.clone(), Arc::clone(&app)),
                HostPattern::Below(parent) => table.by_parent.insert(parent.clone(), Arc::clone(&app)),
            };
            table.apps.push(app);
        }
        table
    }

    /// The app of a host: the one that names it, else the one whose wildcard covers it.
    #[must_use]
    pub fn app(&self, host: &Host) -> Option<&Arc<App>> {
        self.by_host.get(host).or_else(|| self.by_parent.get(host.parent()?))
    }

    /// All apps, in the order of the file.
    pub fn apps(&self) -> impl Iterator<Item = &Arc<App>> {
        self.apps.iter()
    }

    /// The names of each app and of the paths of its routes, by the numbers of the routes. A path that is empty stands
    /// for the requests that meet no route of the app; without an app, for those that meet none.
    pub fn names(&self) -> impl Iterator<Item = (String, String)> {
        let names = self.apps.iter().flat_map(|app| {
            let paths = app.routes.iter().map(|route| route.prefix.as_str()).chain([""]);
            paths.map(|path| (app.name.clone(), path.to_owned()))
        });
        names.chain([(String::new(), String::new())])
    }

    /// The number of a request for this host that meets no route.
    #[must_use]
    pub fn number_without_route(&self, host: &Host) -> usize {
        let all = || self.apps.last().map_or(0, |app| app.first + app.routes.len() + 1);
        self.app(host).map_or_else(all, |app| app.first + app.routes.len())
    }

    /// Finds the route of a request: the longest path that covers it and takes its method; of equal
    /// paths, the one that names the method.
    ///
    /// # Errors
    /// Says why there is none. A path that a lenient app could take for one of another rule is a miss,
    /// for then the rule we would judge by is not the rule of what the app would do.
    pub fn find(&self, host: &Host, method: &Method, path: &CanonicalPath) -> Result<Lookup, Miss> {
        let app = self.app(host).ok_or(Miss::Host)?;
        let route = |index: usize| app.routes.get(index).map(|route| (index, route));
        let (mut covering, mut met) = (0, None);
        for (index, route) in app.index.covering(path).filter_map(route) {
            covering += 1;
            let rank = rank(route);
            if route.takes(method) && met.is_none_or(|(_, best)| rank >= best) {
                met = Some((index, rank));
            }
        }
        // Whatever covers the path may also cover it: more of these are others.
        if app.index.may_cover(path).count() > covering {
            return Err(Miss::Ambiguous);
        }
        let met = met.and_then(|(index, _)| route(index));
        let mut behind = app.index.may_cover_behind_a_script(path).filter_map(route);
        if behind.any(|(_, route)| !route.prefix.covers(path) && is_led_around(route, method, met.map(|(_, met)| met)))
        {
            return Err(Miss::Ambiguous);
        }
        let miss = if covering > 0 { Miss::Method } else { Miss::Path };
        met.map(|(index, _)| Lookup { app: Arc::clone(app), index }).ok_or(miss)
    }

    /// The rules by which an app might judge a path that meets another one.
    pub fn mistakable<'t>(&'t self, host: &Host, method: &'t Method, path: &'t CanonicalPath) -> Vec<&'t Route> {
        self.app(host).into_iter().flat_map(|app| mistakable(app, method, path)).collect()
    }

    /// The scopes of the page that somebody goes to after a sign-in.
    #[must_use]
    pub fn scopes_to_open(&self, host: &Host, path: &ReturnPath) -> ScopeSet {
        Target::parse_origin_form(path.as_str())
            .ok()
            .and_then(|target| self.find(host, &Method::GET, target.path()).ok())
            .map(|lookup| lookup.route().scopes.clone())
            .unwrap_or_default()
    }

    /// The methods that the rules for a path take when none takes all, as `Allow` lists them.
    #[must_use]
    pub fn methods_at(&self, host: &Host, path: &CanonicalPath) -> String {
        let routes = self.app(host).into_iter().flat_map(|app| &app.routes);
        let named = routes.filter(|route| route.prefix.covers(path)).flat_map(|route| &route.methods);
        let mut methods: BTreeSet<&str> = named.map(Method::as_str).collect();
        if methods.contains("GET") {
            methods.insert("HEAD");
        }
        Vec::from_iter(methods).join(", ")
    }
}

/// Of the routes that cover a path and take its method the highest is met.
fn rank(route: &Route) -> (usize, bool) {
    (route.prefix.depth(), !route.methods.is_empty())
}

/// Whether an app whose scripts get what follows them would get around `route`, which may cover the path behind one.
/// Scripts have their place in the addresses of many apps, so that alone is no reason: only when the rule would keep
/// somebody out, and nobody has written the one that is met for this very place.
fn is_led_around(route: &Route, method: &Method, met: Option<&Route>) -> bool {
    route.takes(method)
        && met.is_none_or(|met| route.asks_for_more_than(met) && !met.prefix.means_a_place_of(&route.prefix))
}

/// The route that a request meets when nobody mistakes its path.
fn met<'a>(app: &'a App, method: &Method, path: &CanonicalPath) -> Option<(usize, &'a Route)> {
    let covering = app.routes.iter().enumerate().filter(|(_, route)| route.prefix.covers(path) && route.takes(method));
    covering.max_by_key(|(_, route)| rank(route))
}

/// Route by route, for people who want to know which: [`Table::find`] asks the index.
fn mistakable<'a>(app: &'a App, method: &'a Method, path: &'a CanonicalPath) -> impl Iterator<Item = &'a Route> {
    let met = met(app, method, path).map(|(_, route)| route);
    app.routes.iter().filter(move |route| {
        let prefix = &route.prefix;
        let behind = || prefix.may_cover_behind_a_script(path) && is_led_around(route, method, met);
        !prefix.covers(path) && (prefix.may_cover(path) || behind())
    })
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        policy::{Access, Allow, HeaderSet, Protocol, Unauthenticated, Upstream},
        web::{PathPrefix, Scheme},
    };

    pub(in crate::policy) fn route(path: &str, access: &str) -> Route {
        let (access, methods) = access.split_once(' ').unwrap_or((access, ""));
        Route {
            prefix: PathPrefix::new(CanonicalPath::parse(path).unwrap()),
            methods: methods.split(' ').filter(|one| !one.is_empty()).map(|one| one.parse().unwrap()).collect(),
            access: match access {
                "required" => Access::Required,
                "optional" => Access::Optional,
                "public" => Access::Public,
                other => panic!("{other}"),
            },
            scopes: ScopeSet::new(),
            unauthenticated: Unauthenticated::Auto,
            headers: HeaderSet::standard(),
            allow: Allow::default(),
        }
    }

    pub(in crate::policy) fn app_of(host: &str, routes: Vec<Route>) -> App {
        let upstream = Upstream {
            scheme: Scheme::Http,
            protocol: Protocol::Negotiated,
            host: Host::parse("127.0.0.1").unwrap(),
            port: 9000,
        };
        App::new("app".into(), HostPattern::parse(host).unwrap(), vec![upstream], routes)
    }

    pub(in crate::policy) fn app_with(host: &str, routes: &[(&str, &str)]) -> App {
        app_of(host, routes.iter().map(|(path, access)| route(path, access)).collect())
    }

    fn find(table: &Table, method: &str, path: &str) -> Result<String, Miss> {
        table
            .find(&Host::parse("A.example:80").unwrap(), &method.parse().unwrap(), &CanonicalPath::parse(path).unwrap())
            .map(|lookup| lookup.route().prefix.as_str().to_owned())
    }

    #[test]
    fn the_longest_match_on_a_segment_boundary_wins() {
        let table = Table::new([app_with("a.example", &[("/", "required"), ("/a", "public"), ("/a/b", "required")])]);
        for (path, rule) in [
            ("/", "/"),
            ("/ab", "/"),
            ("/a", "/a"),
            ("/a/", "/a"),
            ("/a/bc", "/a"),
            ("/a/b", "/a/b"),
            ("/a/b/c", "/a/b"),
        ] {
            assert_eq!(find(&table, "GET", path).unwrap(), rule, "{path}");
        }
    }

    #[test]
    fn a_route_with_methods_is_met_by_those_only() {
        let table =
            Table::new([app_with("a.example", &[("/", "required"), ("/a", "public GET"), ("/b", "public GET")])]);
        assert_eq!(find(&table, "GET", "/a").unwrap(), "/a");
        assert_eq!(find(&table, "HEAD", "/a").unwrap(), "/a");
        assert_eq!(find(&table, "POST", "/a").unwrap(), "/");
        let table = Table::new([app_with("a.example", &[("/a", "public GET")])]);
        assert_eq!(find(&table, "POST", "/a"), Err(Miss::Method));
        let methods = table.methods_at(&Host::parse("a.example").unwrap(), &CanonicalPath::parse("/a/x").unwrap());
        assert_eq!(methods, "GET, HEAD");
        assert_eq!(find(&table, "GET", "/b"), Err(Miss::Path));
    }

    #[test]
    fn of_equal_paths_the_one_that_names_the_method_wins() {
        for order in [[("/a", "required"), ("/a", "public GET")], [("/a", "public GET"), ("/a", "required")]] {
            let table = Table::new([app_with("a.example", &order)]);
            let lookup = |method: Method| {
                let path = CanonicalPath::parse("/a").unwrap();
                table.find(&Host::parse("a.example").unwrap(), &method, &path).unwrap().route().access
            };
            assert_eq!(lookup(Method::GET), Access::Public);
            assert_eq!(lookup(Method::POST), Access::Required);
        }
    }

    #[test]
    fn a_path_that_an_app_could_take_for_another_rules_is_ambiguous() {
        let table = Table::new([app_with("a.example", &[("/", "public"), ("/admin", "required")])]);
        for path in ["/admin;x/y", "/ADMIN", "/Admin/x", "/admin.", "/admin%20/x"] {
            assert_eq!(find(&table, "GET", path), Err(Miss::Ambiguous), "{path}");
        }
        for path in ["/x;y=1", "/;jsessionid=1", "/admin/x;y", "/admin2"] {
            assert!(find(&table, "GET", path).is_ok(), "{path}");
        }
    }

    #[test]
    fn a_script_leads_around_no_rule() {
        let scoped = Route { scopes: ScopeSet::parse("edu.users.read").unwrap(), ..route("/scoped", "required") };
        let users = vec![crate::identity::Subject::parse("bob").unwrap()];
        let closed = Route { allow: Allow { users, ..Allow::default() }, ..route("/closed", "required") };
        let listed = Route { prefix: route("/index.php/listed", "public").prefix, ..closed.clone() };
        let open = route("/index.php/known", "public");
        let known = route("/known", "required");
        let rules = vec![
            route("/", "required"),
            route("/public", "public"),
            route("/public/own", "required"),
            route("/as-all", "required"),
            route("/posted", "required POST"),
            scoped,
            closed,
            listed,
            open,
            known,
        ];
        let table = Table::new([app_of("a.example", rules)]);
        for path in [
            "/index.php/closed",
            "/Index.PHP/Closed/x",
            "/index.php/scoped",
            "/public/index.php/own",
            // Named with its script, asked for without.
            "/listed",
            "/listed/x",
        ] {
            assert_eq!(find(&table, "GET", path), Err(Miss::Ambiguous), "{path}");
        }
        for (path, rule) in [
            // A rule that asks for no more, or for less, leads nobody around anything.
            ("/index.php/as-all", "/"),
            ("/index.php/public", "/"),
            ("/x.cgi/public/own", "/"),
            ("/index.php/x", "/"),
            ("/index.php", "/"),
            ("/public/index.php/x", "/public"),
            ("/index.php/posted", "/"),
            // Whoever writes a rule for a place means it.
            ("/index.php/known", "/index.php/known"),
            ("/index.php/listed/x", "/index.php/listed"),
            ("/known", "/known"),
        ] {
            assert_eq!(find(&table, "GET", path).as_deref(), Ok(rule), "{path}");
        }
        // Without a rule that is met there is nothing to get around to, and nothing is let through either.
        let table = Table::new([app_with("a.example", &[("/admin", "required")])]);
        assert!(find(&table, "GET", "/index.php/admin").is_err());
    }

    #[test]
    fn the_host_by_name_goes_before_the_wildcard() {
        let table = Table::new([
            app_with("*.example.org", &[("/", "public")]),
            app_with("a.example.org", &[("/", "required")]),
        ]);
        let access = |host: &str| {
            let path = CanonicalPath::parse("/").unwrap();
            table.find(&Host::parse(host).unwrap(), &Method::GET, &path).map(|lookup| lookup.route().access)
        };
        assert_eq!(access("A.Example.org."), Ok(Access::Required));
        assert_eq!(access("b.example.ORG:80"), Ok(Access::Public));
        for host in ["example.org", "b.a.example.org", "org", "bexample.org"] {
            assert_eq!(access(host), Err(Miss::Host), "{host}");
        }
    }

    #[test]
    fn an_unknown_host_meets_nothing() {
        let table = Table::new([app_with("b.example", &[("/", "public")])]);
        assert_eq!(find(&table, "GET", "/"), Err(Miss::Host));
    }

    /// Route by route, as it is meant.
    fn find_slowly(table: &Table, host: &Host, method: &Method, path: &CanonicalPath) -> Result<usize, Miss> {
        let app = table.app(host).ok_or(Miss::Host)?;
        if mistakable(app, method, path).next().is_some() {
            return Err(Miss::Ambiguous);
        }
        let covering = app.routes.iter().any(|route| route.prefix.covers(path));
        met(app, method, path).map(|(index, _)| index).ok_or(if covering { Miss::Method } else { Miss::Path })
    }

    const SEGMENTS: [&str; 16] = [
        "",
        "a",
        "A",
        "b",
        "c",
        "a;x",
        ";",
        "a.",
        "%C5%BF",
        "s",
        "%2541",
        "a%3Bx",
        "x.php",
        "X.PHP",
        "index.php",
        "x%252ephp",
    ];

    fn path() -> impl Strategy<Value = CanonicalPath> {
        let segments = prop::collection::vec(prop::sample::select(&SEGMENTS[..]), 0..4);
        segments.prop_filter_map("no canonical path", |segments| {
            CanonicalPath::parse(&format!("/{}", segments.join("/"))).ok()
        })
    }

    const ACCESS: [&str; 7] =
        ["required", "optional", "public", "required GET", "public GET", "public POST", "required GET POST"];

    fn rule() -> impl Strategy<Value = Route> {
        let (access, scopes) =
            (prop::sample::select(&ACCESS[..]), prop::sample::select(&["", "", "edu.users.read"][..]));
        (path(), access, scopes).prop_map(|(path, access, scopes)| Route {
            scopes: ScopeSet::parse(scopes).unwrap(),
            ..route(path.as_str(), access)
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn the_index_leads_to_the_route_that_a_search_of_all_finds(
            rules in prop::collection::vec(rule(), 1..20),
            paths in prop::collection::vec(path(), 8),
        ) {
            let (table, host) = (Table::new([app_of("a.example", rules)]), Host::parse("a.example").unwrap());
            for path in &paths {
                for method in [Method::GET, Method::HEAD, Method::POST] {
                    let found = table.find(&host, &method, path).map(|lookup| lookup.index);
                    prop_assert_eq!(found, find_slowly(&table, &host, &method, path), "{} {}", method, path);
                }
            }
        }
    }
}
