//! The cookies in which apps keep sessions of their own: where apps set them, whose they are, and how they
//! die.

use http::{HeaderValue, header};
use moka::{policy::EvictionPolicy, sync::Cache};
use pingora::{Error, ErrorType};

use super::{
    Gateway,
    exchange::Exchange,
    fields::{AnswerFields, Fields},
    forwarding, response_headers,
};
use crate::{
    policy::{Access, Admission, App},
    signin::{Browser, CookieNames, Label, Owner},
    web::{AppSetCookie, CookieScope, Host, SameSite, SetCookie},
};

/// Most places that are remembered for an app. An app has one or two.
const MOST_PLACES: usize = 32;

/// Most hosts of which places are remembered. A wildcard has more names than memory could hold, and anybody may ask for
/// them; the least recently used are forgotten.
const MOST_HOSTS: u64 = 1000;

/// Most bytes that guesses and memories may add to an answer: web servers in front of us take heads of
/// 4 KiB.
const MOST_BYTES: usize = 2048;

/// A name, and where a browser keeps the cookie of that name.
type Place = (String, CookieScope);

/// Where the apps have set their cookies, by the host of the browser, the latest last.
#[derive(Debug)]
pub(super) struct AppCookies(Cache<Host, Vec<Place>>);

impl Default for AppCookies {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(MOST_HOSTS).eviction_policy(EvictionPolicy::lru()).build())
    }
}

impl AppCookies {
    fn note(&self, host: &Host, name: &str, scope: CookieScope) {
        let place = (name.to_owned(), scope);
        if self.0.get(host).is_some_and(|places| places.last() == Some(&place)) {
            return;
        }
        self.0.entry_by_ref(host).and_upsert_with(|known| {
            let mut places = known.map(|known| known.into_value()).unwrap_or_default();
            places.retain(|known| *known != place);
            if places.len() >= MOST_PLACES {
                places.remove(0);
            }
            places.push(place);
            places
        });
    }

    fn places(&self, host: &Host) -> Vec<Place> {
        self.0.get(host).unwrap_or_default()
    }

    /// Deletes the cookies of an app that die at a sign-out. A browser deletes a cookie only by the path and
    /// the domain that it was set with: those that this app was seen to use, and, for a process that has seen
    /// nothing yet, those that apps mostly use.
    pub(super) fn deletions(&self, app: &App, host: &Host, names: &CookieNames) -> Vec<SetCookie> {
        let cookies = &app.sessions.clear_cookies;
        let each = |scope: CookieScope| cookies.iter().map(move |name| (name.clone(), scope.clone()));
        let whole = each(CookieScope::host_only("/"));
        let seen = self.places(host).into_iter().rev();
        let seen = seen.filter(|(name, scope)| cookies.contains(name) && *scope != CookieScope::host_only("/"));
        let known: Vec<Place> = whole.chain(seen).collect();
        let mut guessed: Vec<Place> = Vec::new();
        for place in guesses(app, host).flat_map(each) {
            if !known.contains(&place) && !guessed.contains(&place) {
                guessed.push(place);
            }
        }
        let mut deletions = Vec::new();
        let mut bytes = 0;
        for (rank, place) in known.iter().chain(&guessed).enumerate().filter(|(_, place)| can_be(place)) {
            let deletion =
                |name: String| SetCookie::deletion(name, SameSite::Lax, names.secure()).within(place.1.clone());
            // A label without its cookie does no harm, where there was one at all.
            let label = (rank < known.len()).then(|| deletion(names.label(&place.0)));
            let both: Vec<_> = std::iter::once(deletion(place.0.clone())).chain(label).collect();
            let size: usize = both.iter().map(|one| one.header_value().len() + "Set-Cookie: \r\n".len()).sum();
            if rank < cookies.len() || bytes + size <= MOST_BYTES {
                bytes += size;
                deletions.extend(both);
            }
        }
        deletions
    }
}

/// Where apps set cookies, as far as one can say from the configuration: for their host by name, and for the
/// folders of their routes.
fn guesses(app: &App, host: &Host) -> impl Iterator<Item = CookieScope> {
    let folders = app.routes.iter().map(|route| route.prefix.as_str().trim_end_matches('/'));
    let below = folders
        .filter(|folder| !folder.is_empty())
        .flat_map(|folder| [CookieScope::host_only(folder), CookieScope::host_only(format!("{folder}/"))]);
    std::iter::once(CookieScope::of_domain(host, "/")).chain(below)
}

/// Browsers keep a cookie of this prefix for the whole of one host only.
fn can_be((name, scope): &Place) -> bool {
    let is_host = name.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("__host-"));
    !is_host || scope.is_whole_host()
}

impl Gateway {
    /// Notes who asks, when the app has cookies that are for one person only.
    pub(super) async fn note_owner(&self, admission: &Admission, browser: &Browser<'_>, exchange: &Exchange) {
        if admission.app().sessions.clear_cookies.is_empty() {
            return;
        }
        exchange.is_of(match (admission.session(), admission.route().access) {
            (Some(session), _) => Owner::Person(session.record().person.subject.clone()),
            (None, Access::Public) => self.signin.owner_of(browser).await,
            (None, Access::Optional | Access::Required) => Owner::Nobody,
        });
    }

    /// The labels that came with a request, by the cookie that they are about.
    pub(super) fn labels_of<'a>(&self, request: &impl Fields, app: &'a App) -> Vec<(&'a str, Vec<Label>)> {
        if app.sessions.clear_cookies.is_empty() {
            return Vec::new();
        }
        let jar = forwarding::cookies(request);
        let cookies = app.sessions.clear_cookies.iter();
        cookies.map(|name| (name.as_str(), self.signin.labels().read(name, &jar))).collect()
    }

    /// Whether a cookie that the browser sent is kept from the app: one of ours, or one that the app has set
    /// for somebody else.
    pub(super) fn keeps_back(
        &self,
        name: &[u8],
        value: &[u8],
        labels: &[(&str, Vec<Label>)],
        exchange: &Exchange,
    ) -> bool {
        let about = labels.iter().find(|(cookie, _)| cookie.as_bytes() == name);
        let is_theirs =
            |(name, labels): &(&str, Vec<Label>)| self.signin.labels().admit(name, value, exchange.owner(), labels);
        self.signin.cookie_names().are_ours(name) || !about.is_none_or(is_theirs)
    }

    /// Labels the cookies that an app sets for one person, and learns where it sets them.
    ///
    /// # Errors
    /// When pingora cannot change a header.
    pub(super) fn label_cookies(
        &self,
        answer: &mut impl AnswerFields,
        app: &App,
        exchange: &Exchange,
    ) -> pingora::Result<()> {
        if app.sessions.clear_cookies.is_empty() {
            return Ok(());
        }
        if !answer.values(&header::SET_COOKIE).any(|line| of_app(app, line).is_some()) {
            return Ok(());
        }
        for line in &response_headers::take(answer, &header::SET_COOKIE)? {
            let Some((name, cookie)) = of_app(app, line.as_bytes()) else {
                answer.append(header::SET_COOKIE, line.clone())?;
                continue;
            };
            if let Some(scope) = cookie.scope(&exchange.facts.host, exchange.facts.target.path()) {
                self.app_cookies.note(&exchange.facts.host, name, scope);
            }
            // What dies with an answer is not set by it, and what is nobody's is not set at all.
            let label = self.signin.labels().make(name, cookie.value(), exchange.owner());
            if let Some(label) = label.filter(|_| exchange.farewell().is_none()) {
                let label = [label.as_bytes(), cookie.attributes(), b"; HttpOnly"].concat();
                let label = HeaderValue::from_bytes(&label).map_err(|_| Error::new(ErrorType::InternalError))?;
                answer.append(header::SET_COOKIE, line.clone())?;
                answer.append(header::SET_COOKIE, label)?;
            }
        }
        Ok(())
    }
}

/// The cookie that a line sets, when it is one that dies at a sign-out.
fn of_app<'a>(app: &'a App, line: &'a [u8]) -> Option<(&'a str, AppSetCookie<'a>)> {
    let cookie = AppSetCookie::parse(line)?;
    Some((app.sessions.cookie(cookie.name())?, cookie))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        policy::{AppSessions, testing},
        web::{CanonicalPath, Scheme},
    };

    const NAMES: CookieNames = CookieNames::new(Scheme::Https);

    fn app(routes: &[&str], cookies: &[&str]) -> App {
        let clear_cookies = cookies.iter().map(|name| (*name).to_owned()).collect();
        testing::app_with("a.school.example", routes).keeping(AppSessions { clear_cookies, ..AppSessions::default() })
    }

    /// Where a line of an app's at `/x/y` sets its cookie.
    fn note(known: &AppCookies, app: &App, line: &str) {
        let cookie = AppSetCookie::parse(line.as_bytes()).unwrap();
        let host = app.host.one().unwrap();
        let scope = cookie.scope(host, &CanonicalPath::parse("/x/y").unwrap()).unwrap();
        known.note(host, std::str::from_utf8(cookie.name()).unwrap(), scope);
    }

    /// Names with path and domain, without labels.
    fn deleted(known: &AppCookies, app: &App) -> Vec<String> {
        let lines = known.deletions(app, app.host.one().unwrap(), &NAMES).into_iter().map(|one| one.header_value());
        let lines = lines.inspect(|line| assert!(line.ends_with("; Max-Age=0") && line.contains("; Secure"), "{line}"));
        let short = |line: String| {
            let line = line.replace("=; HttpOnly; SameSite=Lax; ", " ").replace("Secure; Path=", "");
            line.replace("; Domain=", " ").replace("; Max-Age=0", "")
        };
        lines.map(short).filter(|line| !line.starts_with("schoolgate-of-")).collect()
    }

    #[test]
    fn without_any_memory_it_is_the_host_and_the_folders_of_its_routes() {
        let app = app(&["/", "/moodle", "/moodle", "/b/c/"], &["PHPSESSID"]);
        let expected = [
            "PHPSESSID /",
            "PHPSESSID / a.school.example",
            "PHPSESSID /moodle",
            "PHPSESSID /moodle/",
            "PHPSESSID /b/c",
            "PHPSESSID /b/c/",
        ];
        assert_eq!(deleted(&AppCookies::default(), &app), expected);
        assert!(deleted(&AppCookies::default(), &self::app(&["/", "/x"], &[])).is_empty());
    }

    #[test]
    fn the_names_below_a_wildcard_fill_no_memory() {
        let known = AppCookies::default();
        let real = Host::parse("chess.clubs.school.example").unwrap();
        for invented in 0..MOST_HOSTS * 3 {
            let host = Host::parse(&format!("h{invented}.clubs.school.example")).unwrap();
            known.note(&host, "A", CookieScope::host_only("/x"));
            known.note(&real, "A", CookieScope::host_only("/y"));
        }
        known.0.run_pending_tasks();
        assert_eq!(known.0.entry_count(), MOST_HOSTS);
        assert_eq!(known.places(&real), [("A".to_owned(), CookieScope::host_only("/y"))], "who is used stays");
    }

    #[test]
    fn what_was_seen_is_deleted_where_it_was_set_with_its_label() {
        let (known, app) = (AppCookies::default(), app(&["/"], &["A", "B"]));
        for line in
            ["A=1", "A=2; Path=/app/; Domain=.School.example", "A=3", "B=1; Path=/; Partitioned", "C=1; Path=/c"]
        {
            note(&known, &app, line);
        }
        let expected = [
            "A /",
            "B /",
            "B Partitioned; /",
            "A /x",
            "A /app/ school.example",
            "A / a.school.example",
            "B / a.school.example",
        ];
        assert_eq!(deleted(&known, &app), expected);
        let lines: Vec<_> =
            known.deletions(&app, app.host.one().unwrap(), &NAMES).iter().map(SetCookie::header_value).collect();
        let label = "schoolgate-of-A=; HttpOnly; SameSite=Lax; Secure; Path=/app/; Domain=school.example; Max-Age=0";
        assert!(lines.iter().any(|line| line == label), "{lines:#?}");
        assert_eq!(deleted(&known, &testing::app("other.example")), Vec::<String>::new());
    }

    #[test]
    fn a_name_with_a_prefix_is_deleted_where_browsers_keep_it() {
        let (known, app) = (AppCookies::default(), app(&["/", "/x"], &["__Host-a", "__secure-b"]));
        note(&known, &app, "__Host-a=1; Path=/; Secure");
        let expected =
            ["__Host-a /", "__secure-b /", "__secure-b / a.school.example", "__secure-b /x", "__secure-b /x/"];
        assert_eq!(deleted(&known, &app), expected);
    }

    #[test]
    fn neither_the_memory_nor_the_answer_grows_without_end() {
        let (known, app) = (AppCookies::default(), app(&["/"], &["A"]));
        for number in 0..1_000 {
            note(&known, &app, &format!("A=1; Path=/course/{number}"));
        }
        assert_eq!(known.places(app.host.one().unwrap()).len(), MOST_PLACES);
        let deletions = known.deletions(&app, app.host.one().unwrap(), &NAMES);
        let bytes: usize = deletions.iter().map(|one| one.header_value().len()).sum();
        assert!(bytes < MOST_BYTES && bytes > MOST_BYTES / 2, "{bytes}");
        assert_eq!(deleted(&known, &app)[..2], ["A /", "A /course/999"], "the latest first");
        note(&known, &app, &format!("A=1; Path=/{}", "long".repeat(255)));
        assert!(
            deleted(&known, &app).contains(&"A /course/999".to_owned()),
            "one long path does not push the others out"
        );
    }
}
