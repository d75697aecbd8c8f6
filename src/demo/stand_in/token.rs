//! `POST token`: codes and refresh tokens for access tokens.

use axum::http::{StatusCode, header};
use serde_json::{Map, Value, json};

use super::{
    Client, Inside, Service,
    answer::Answer,
    behaviour::{Behaviour, ExpiresIn, TokenType},
    client_secret::authenticate,
    error_code::{ErrorCode, Refusal},
    fields::Fields,
    grants::{GrantNumber, Grants, Offer},
    id_token::Occasion,
    reception::Asked,
};

/// The fields that Apple's pages name.
const DOCUMENTED: &[&str] = &["client_id", "client_secret", "code", "grant_type", "redirect_uri", "refresh_token"];

/// Answers a call.
pub(super) fn answer(inside: &Inside, service: Service, asked: &Asked) -> Answer {
    match tokens(inside, service, asked) {
        Ok(members) => Answer::json(StatusCode::OK, &Value::Object(members), "tokens were issued"),
        Err(refusal) => Answer::refusal(refusal),
    }
}

/// Reads the form of a call by a client, and finds the client: before anything else is looked at.
pub(super) fn client_form<'a>(
    inside: &'a Inside,
    asked: &Asked,
    documented: &[&str],
) -> Result<(&'a Client, Fields), Refusal> {
    if !asked.query().is_empty() {
        return Err(Refusal::request("there are parameters in the query"));
    }
    let form = asked.form().ok_or(Refusal::request("the body is not a form"))?;
    if form.is_malformed() || form.repeated().is_some() {
        return Err(Refusal::request("a field is repeated or badly encoded"));
    }
    if asked.headers().contains_key(header::AUTHORIZATION) {
        return Err(if form.has("client_secret") {
            Refusal::request("the client authenticates in two ways")
        } else {
            Refusal::client("the client authenticates by a header")
        });
    }
    let field = |name, why| form.value(name).ok_or(Refusal::request(why));
    let client_id = field("client_id", "client_id is missing")?;
    let secret = field("client_secret", "client_secret is missing")?;
    let client = authenticate(&inside.clients, client_id, secret, inside.clock.now())?;
    if inside.switches.behaviour().refuse_unknown_parameters && form.unknown(documented).is_some() {
        return Err(Refusal::request("a field is not supported"));
    }
    Ok((client, form))
}

fn tokens(inside: &Inside, service: Service, asked: &Asked) -> Result<Map<String, Value>, Refusal> {
    let (client, form) = client_form(inside, asked, DOCUMENTED)?;
    let issue = Issue { inside, client, behaviour: inside.switches.behaviour() };
    match form.value("grant_type") {
        None => Err(Refusal::request("grant_type is missing")),
        Some("authorization_code") => issue.for_code(service, &form),
        Some("refresh_token") => issue.for_refresh_token(&form),
        Some(_) => Err(Refusal::new(ErrorCode::UnsupportedGrantType, "the grant_type is not supported")),
    }
}

struct Issue<'a> {
    inside: &'a Inside,
    client: &'a Client,
    behaviour: Behaviour,
}

impl Issue<'_> {
    fn for_code(&self, service: Service, form: &Fields) -> Result<Map<String, Value>, Refusal> {
        let offer = Offer {
            service,
            client_id: &self.client.client_id,
            code: form.value("code").ok_or(Refusal::request("code is missing"))?,
            redirect_uri: form.value("redirect_uri").ok_or(Refusal::request("redirect_uri is missing"))?,
            verifier: form.value("code_verifier"),
        };
        let mut grants = self.inside.grants();
        let grant = grants.redeem(&offer, self.inside.clock.now())?;
        let (access_token, mut members) = self.access_token(&mut grants, grant);
        if self.behaviour.refresh_token {
            let token = grants.make_refresh_token(grant, &*self.inside.entropy);
            members.insert("refresh_token".into(), token.into());
        }
        if self.behaviour.id_token_on_exchange {
            let token = self.id_token(&grants, grant, &access_token, Some(offer.code));
            members.extend(token.map(|token| ("id_token".to_owned(), token.into())));
        }
        Ok(members)
    }

    fn for_refresh_token(&self, form: &Fields) -> Result<Map<String, Value>, Refusal> {
        let old = form.value("refresh_token").ok_or(Refusal::request("refresh_token is missing"))?;
        let mut grants = self.inside.grants();
        let grant = grants.refresh(old, &self.client.client_id, self.behaviour.after_revocation)?;
        let (access_token, mut members) = self.access_token(&mut grants, grant);
        if self.behaviour.refresh_rotation {
            grants.retire_refresh_token(old);
            let token = grants.make_refresh_token(grant, &*self.inside.entropy);
            members.insert("refresh_token".into(), token.into());
        }
        if self.behaviour.id_token_on_refresh {
            let token = self.id_token(&grants, grant, &access_token, None);
            members.extend(token.map(|token| ("id_token".to_owned(), token.into())));
        }
        Ok(members)
    }

    fn access_token(&self, grants: &mut Grants, grant: GrantNumber) -> (String, Map<String, Value>) {
        let lifetime = self.behaviour.access_token_lifetime;
        let token = grants.make_access_token(grant, self.inside.clock.now(), lifetime, &*self.inside.entropy);
        let seconds = lifetime.as_secs();
        let expires_in = match self.behaviour.expires_in {
            ExpiresIn::Number => Some(json!(seconds)),
            ExpiresIn::Text => Some(json!(seconds.to_string())),
            ExpiresIn::Absent => None,
            ExpiresIn::Negative => Some(json!(-1)),
            ExpiresIn::Huge => Some(json!(1e300)),
        };
        let token_type = match self.behaviour.token_type {
            TokenType::Bearer => Some(json!("Bearer")),
            TokenType::LowerCase => Some(json!("bearer")),
            TokenType::Other => Some(json!("mac")),
            TokenType::Absent => None,
        };
        let scope = grants.approval(grant).filter(|_| self.behaviour.scope_member);
        let scope = scope.map(|approval| json!(approval.scopes.to_string()));
        let members = [
            ("access_token", Some(json!(token))),
            ("token_type", token_type),
            ("expires_in", expires_in),
            ("scope", scope),
        ];
        (token, members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect())
    }

    fn id_token(&self, grants: &Grants, grant: GrantNumber, access_token: &str, code: Option<&str>) -> Option<String> {
        let approval = grants.approval(grant)?;
        let other = || self.inside.school.people().iter().find(|person| person.subject != approval.person.subject);
        let person = match code {
            None if self.behaviour.other_person_on_refresh => other()?,
            None | Some(_) => &approval.person,
        };
        let with_nonce = code.is_some() || self.behaviour.nonce_on_refresh;
        let occasion = Occasion {
            client_id: &self.client.client_id,
            person,
            scopes: &approval.scopes,
            nonce: approval.nonce.as_deref().filter(|_| with_nonce),
            access_token,
            code,
            signed_in: approval.at,
            now: self.inside.clock.now(),
        };
        Some(occasion.token(&self.behaviour, &self.inside.keys()))
    }
}
