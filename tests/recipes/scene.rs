//! An app, the gateway with the page's part of its configuration, and the stand-in for Apple.

use url::Url;

use crate::{
    app::{App, Recipe, Workshop},
    support::{Answer, Browser, Document, Request, World},
};

/// The organization that the pages write.
const SOMEBODYS: &str = "0f1e2d3c-0000-0000-0000-000000000000";

/// Where Apple sends browsers back: a host of its own, without an app.
const HOME: &str = "https://id.school.example/.schoolgate/callback";

/// The same app at another host, where nobody needs to sign in: only the gateway's stripping is between a stranger
/// and the app there.
const OPEN: &str = "open.school.example";

/// Who runs the app.
pub(crate) const ADMINISTRATOR: &str = "administrator";

pub(crate) struct Scene {
    pub(crate) recipe: &'static Recipe,
    pub(crate) world: World,
    pub(crate) app: App,
    _folder: tempfile::TempDir,
}

impl Scene {
    pub(crate) async fn of(recipe: &'static Recipe) -> Self {
        // The subjects of the people are the same in each stand-in.
        let people = World::start().await;
        let one = people.apple.person(ADMINISTRATOR).unwrap();
        let (administrator, mail, organization) =
            (&*one.subject, one.email.as_deref().unwrap(), one.organization.as_deref().unwrap());
        let page = Document::of(recipe.page);
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let workshop = Workshop { page: &page, folder: folder.path(), administrator, mail };
        let app = (recipe.start)(&workshop);
        let upstream = app.address.to_string();
        let block = page.filled(
            "gateway.toml",
            &[(SOMEBODYS, organization), (recipe.upstream, &upstream), (recipe.host, recipe.host)],
        );
        let name = block.lines().find(|line| line.starts_with("name = ")).unwrap();
        let routes = block.find("  [[app.route]]").unwrap();
        let open = block[..routes].replace(name, "name = \"open\"").replace(recipe.host, OPEN);
        let open = format!("{open}  [[app.route]]\n  path = \"/\"\n  access = \"optional\"\n");
        let world = World::with(&[("home", HOME), ("apps", &format!("{block}\n{open}"))]).await;
        Self { recipe, world, app, _folder: folder }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.recipe.host)
    }

    /// What the app calls somebody: the address, or what there is instead.
    pub(crate) fn name(&self, person: &str) -> String {
        let one = self.world.apple.person(person).unwrap();
        let name = one.email.clone().unwrap_or_else(|| one.subject.clone());
        match self.recipe.page {
            // Django's administrators have a first name there, and it tells others as whom they may not come in.
            "docs/recipes/django.md" if person == ADMINISTRATOR => name.split('@').next().unwrap().to_owned(),
            "docs/recipes/django.md" => one.subject.clone(),
            _ => name,
        }
    }

    /// The cookies of which the page says that they die with a session.
    pub(crate) fn clear_cookies(&self) -> Vec<String> {
        let page = Document::of(self.recipe.page);
        let lines: toml::Table = toml::from_str(page.block("gateway.toml")).unwrap();
        let names = lines["app"][0].get("clear_cookies").and_then(toml::Value::as_array);
        names.into_iter().flatten().map(|name| name.as_str().unwrap().to_owned()).collect()
    }

    /// Opens the app's page as somebody, and what it then shows.
    pub(crate) async fn visit(&self, browser: &mut Browser, person: &str) -> Answer {
        self.world.walk(browser, &self.url(self.recipe.home), person).await.1
    }

    /// The app's page without a way to Apple.
    pub(crate) async fn look(&self, browser: &mut Browser) -> Answer {
        self.look_with(browser, &[]).await
    }

    /// The same with further headers, also where the app leads on to another page of its own.
    pub(crate) async fn look_with(&self, browser: &mut Browser, headers: &[(&str, &str)]) -> Answer {
        let base = Url::parse(&self.url("")).unwrap();
        let mut path = self.recipe.home.to_owned();
        for _ in 0..5 {
            let request = headers
                .iter()
                .fold(Request::get(&path).navigation(), |request, (name, value)| request.header(name, value));
            let answer = browser.send(&self.url(&path), request, false).await;
            let next = answer.header("location").and_then(|location| base.join(location).ok());
            match next.filter(|next| next.host_str() == Some(self.recipe.host)) {
                Some(next) => path = next[url::Position::BeforePath..].to_owned(),
                None => return answer,
            }
        }
        panic!("a loop at {path}");
    }

    /// The app's page as the app answers it to whoever reaches it around the gateway.
    pub(crate) async fn around(&self, header: (&str, &str)) -> Answer {
        self.page_with(self.recipe.host, header).send(self.app.address).await
    }

    /// The open app's page for a stranger who says something.
    pub(crate) async fn open(&self, header: (&str, &str)) -> Answer {
        self.page_with(OPEN, header).send(self.world.address).await
    }

    fn page_with(&self, host: &str, (name, value): (&str, &str)) -> Request {
        let request = Request::get(self.recipe.home).header("Host", host).header("X-Forwarded-Proto", "https");
        request.navigation().header(name, value)
    }

    /// Whether an answer is on the way to Apple.
    pub(crate) fn leads_to_a_sign_in(&self, answer: &Answer) -> bool {
        if answer.status != 302 {
            return false;
        }
        let there = Url::parse(answer.location()).unwrap();
        there.host_str() == Some("id.school.example")
            || answer.location().starts_with(self.world.apple.base_url().as_str())
    }
}
