//! The paths of the stand-in, and what stands behind each.

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    http::{Method, StatusCode},
    response::Response,
    routing::{get, post},
};

use super::{
    Endpoint, Inside, Service,
    answer::Answer,
    pages,
    reception::{Asked, attend},
    revoke, roster, telling, token,
};

/// Where the page sends the choice.
const PICK: &str = "/stand-in/pick";

type Shared = State<Arc<Inside>>;

/// All paths.
pub(super) fn router(inside: Arc<Inside>) -> Router {
    let router = Service::ALL.into_iter().fold(Router::new(), of_service);
    router
        .route(PICK, post(|State(inside): Shared, asked| attend(inside, Endpoint::Pick, None, asked, pages::pick)))
        .route(telling::PATH, get(whose_consent).post(take_back))
        .route(
            &format!("{}{{*path}}", roster::PREFIX),
            get(|State(inside): Shared, asked| attend(inside, Endpoint::Roster, None, asked, roster::answer)),
        )
        .fallback(elsewhere)
        .method_not_allowed_fallback(elsewhere)
        .with_state(inside)
}

fn of_service(router: Router<Arc<Inside>>, service: Service) -> Router<Arc<Inside>> {
    let path = |endpoint| service.path(endpoint);
    let authorize = move |State(inside): Shared, asked| {
        attend(inside, Endpoint::Authorize, Some(service), asked, move |inside, asked| {
            pages::authorize(inside, service, asked)
        })
    };
    let token = move |State(inside): Shared, asked: Asked| {
        let is_refresh = asked.form().is_some_and(|form| form.value("grant_type") == Some("refresh_token"));
        let endpoint = if is_refresh { Endpoint::Refresh } else { Endpoint::Exchange };
        attend(inside, endpoint, Some(service), asked, move |inside, asked| token::answer(inside, service, asked))
    };
    let keys = move |State(inside): Shared, asked| attend(inside, Endpoint::Keys, Some(service), asked, key_set);
    let revoke =
        move |State(inside): Shared, asked| attend(inside, Endpoint::Revoke, Some(service), asked, revoke::answer);
    router
        .route(&path("authorize"), get(authorize))
        .route(&path("token"), post(token))
        .route(&path("keys"), get(keys))
        .route(&path("revoke"), post(revoke))
}

/// Apple's key set tells nobody to keep it.
fn key_set(inside: &Inside, _: &Asked) -> Answer {
    let behaviour = inside.switches.behaviour();
    let document = inside.keys().document(&behaviour.key_oddities, behaviour.forgery, &*inside.entropy);
    Answer::json(StatusCode::OK, &document, "keys were given")
}

async fn whose_consent(State(inside): Shared) -> Response {
    telling::page(&inside, Vec::new()).into_response()
}

async fn take_back(State(inside): Shared, asked: Asked) -> Response {
    telling::tell(&inside, &asked).await.into_response()
}

async fn elsewhere(State(inside): Shared, method: Method, asked: Asked) -> Response {
    attend(inside, Endpoint::Elsewhere, None, asked, move |_, asked| {
        let known = Service::ALL.iter().any(|service| {
            ["authorize", "token", "keys", "revoke"].iter().any(|endpoint| service.path(endpoint) == asked.path())
        });
        if known {
            tracing::debug!(event = "stand_in_method", %method);
            Answer::empty(StatusCode::METHOD_NOT_ALLOWED, "the method is not allowed")
        } else {
            Answer::empty(StatusCode::NOT_FOUND, "there is no such path")
        }
    })
    .await
}
