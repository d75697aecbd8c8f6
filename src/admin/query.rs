//! What is asked of `/sessions`. A parameter that is not known, or stands twice, is refused: a slip of the pen must
//! not end, or show, more than was meant.

use super::reply::Refusal;
use crate::{
    identity::{Organization, Subject},
    session::{Handle, Selector, SessionKey},
    web::Form,
};

/// Sessions in one answer unless somebody asks for another number.
const USUAL: usize = 100;

/// Most sessions in one answer.
const MOST: usize = 1000;

/// The parameters that say whose sessions, and how they are read.
const WHOSE: [(&str, Read); 3] = [
    ("id", |text| Handle::parse(text).map(Selector::Handle)),
    ("user", |text| Subject::parse(text).ok().map(Selector::Subject)),
    ("organization", |text| Organization::parse(text).ok().map(Selector::Organization)),
];

type Read = fn(&str) -> Option<Selector>;

/// A request for a part of the list.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Page {
    /// Whose sessions; everybody's with nothing.
    pub(super) whose: Option<Selector>,
    /// Where to go on.
    pub(super) after: Option<SessionKey>,
    /// How many at most.
    pub(super) most: usize,
}

impl Page {
    pub(super) fn read(query: Option<&str>) -> Result<Self, Refusal> {
        let form = form(query.unwrap_or_default().as_bytes(), &["id", "user", "organization", "limit", "after"])?;
        let after = match field(&form, "after")? {
            None => None,
            Some(text) => {
                let wrong = || Refusal::bad("after goes on after no session; write what the last answer had in next.");
                Some(SessionKey::parse(text).ok_or_else(wrong)?)
            }
        };
        let most = match field(&form, "limit")? {
            None => USUAL,
            Some(text) => {
                let number = text.parse().ok().filter(|number| (1..=MOST).contains(number));
                number.ok_or_else(|| Refusal::bad(format!("limit is no number from 1 to {MOST}.")))?
            }
        };
        let given = whose(&form)?;
        if given.len() > 1 {
            return Err(Refusal::bad("Write one of id=, user= and organization=, or none of them."));
        }
        Ok(Self { whose: given.into_iter().next(), after, most })
    }
}

/// A request to end sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Somebody's.
    Of(Selector),
    /// Everybody's.
    All,
}

impl End {
    pub(super) fn read(query: Option<&str>) -> Result<Self, Refusal> {
        let form = form(query.unwrap_or_default().as_bytes(), &["id", "user", "organization", "all"])?;
        let all = match field(&form, "all")? {
            None => None,
            Some("true") => Some(Self::All),
            Some(_) => return Err(Refusal::bad("Write all=true to end everybody's sessions.")),
        };
        let mut given: Vec<_> = whose(&form)?.into_iter().map(Self::Of).chain(all).collect();
        match (given.pop(), given.is_empty()) {
            (Some(only), true) => Ok(only),
            (Some(_) | None, _) => Err(Refusal::bad(
                "Say which sessions to end, in one way: ?id=HANDLE, ?user=SUB, ?organization=ORG or ?all=true.",
            )),
        }
    }

    /// What the log calls it.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Of(Selector::Handle(_)) => "id",
            Self::Of(Selector::Subject(_)) => "user",
            Self::Of(Selector::Organization(_)) => "organization",
        }
    }

    /// For the sessions.
    pub(super) fn whose(&self) -> Option<&Selector> {
        match self {
            Self::All => None,
            Self::Of(whose) => Some(whose),
        }
    }
}

/// A query or a form with nothing but the parameters that are known.
pub(super) fn form(encoded: &[u8], known: &[&str]) -> Result<Form, Refusal> {
    let form = Form::parse(encoded).map_err(|why| Refusal::bad(format!("In the query {why}.")))?;
    if form.names().any(|name| !known.contains(&name)) {
        return Err(Refusal::bad(format!("The query has a parameter that is none of {}.", known.join(", "))));
    }
    Ok(form)
}

/// A parameter that may stand once.
pub(super) fn field<'a>(form: &'a Form, name: &str) -> Result<Option<&'a str>, Refusal> {
    form.only(name).map_err(|_| Refusal::bad(format!("{name} stands twice; write it once.")))
}

fn whose(form: &Form) -> Result<Vec<Selector>, Refusal> {
    let mut given = Vec::new();
    for (name, read) in WHOSE {
        let Some(text) = field(form, name)? else { continue };
        let wrong = || Refusal::bad(format!("{name} is empty, too long, or has a character that none has."));
        given.push(read(text).ok_or_else(wrong)?);
    }
    Ok(given)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{entropy::SystemEntropy, session::SessionId};

    fn page(query: &str) -> Result<Page, String> {
        Page::read(Some(query)).map_err(|refusal| refusal.detail)
    }

    fn end(query: &str) -> Result<End, String> {
        End::read(Some(query)).map_err(|refusal| refusal.detail)
    }

    #[test]
    fn a_page_is_everybodys_or_somebodys_and_goes_on_where_the_last_ended() {
        assert_eq!(Page::read(None).unwrap(), Page { whose: None, after: None, most: 100 });
        let key = SessionId::draw(&SystemEntropy).key();
        let found = page(&format!("user=000264.Ab%2B&limit=1000&after={}", key.to_text())).unwrap();
        let anna = Selector::Subject(Subject::parse("000264.Ab+").unwrap());
        assert_eq!(found, Page { whose: Some(anna), after: Some(key), most: 1000 });
        assert_eq!(page("id=h-1").unwrap().whose, Some(Selector::Handle(Handle::for_tests("h-1"))));
    }

    #[test]
    fn what_a_page_cannot_be_is_refused_with_what_to_write() {
        for (query, word) in [
            ("limit=0", "from 1 to 1000"),
            ("limit=1001", "from 1 to 1000"),
            ("limit=many", "from 1 to 1000"),
            ("after=x", "what the last answer had in next"),
            ("usr=anna", "none of id, user, organization, limit, after"),
            ("all=true", "none of"),
            ("user=a&user=b", "user stands twice"),
            ("user=", "user is empty"),
            ("user=a%0Ab", "has a character"),
            ("user=a&id=b", "one of"),
        ] {
            assert!(page(query).unwrap_err().contains(word), "{query}");
        }
    }

    #[test]
    fn sessions_are_ended_in_one_way_exactly() {
        assert_eq!(end("all=true"), Ok(End::All));
        assert_eq!(end("id=h-1").unwrap().word(), "id");
        assert_eq!(end("user=anna").unwrap().word(), "user");
        assert_eq!(end("organization=org-1").unwrap().word(), "organization");
        for query in ["", "user=a&organization=b", "user=a&all=true", "id=a&user=b&organization=c"] {
            assert!(
                end(query).unwrap_err().contains("?id=HANDLE, ?user=SUB, ?organization=ORG or ?all=true"),
                "{query}"
            );
        }
        for query in ["all", "all=", "all=false", "all=1", "all=True"] {
            assert!(end(query).unwrap_err().contains("all=true"), "{query}");
        }
    }

    #[test]
    fn nothing_that_is_not_understood_ends_anything() {
        for query in ["users=anna&all=true", "limit=5&all=true", "all=true&all=true", "id=", "user=%FF", "id=a b"] {
            assert!(end(query).is_err(), "{query}");
        }
    }
}
