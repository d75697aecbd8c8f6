//! Forward-auth: a web server asks whether a request may go to its app, and as whom.

use http::{Method, header};
use pingora::http::RequestHeader;

use super::{
    Endpoint, is_own,
    original::{Original, OriginalError, Style},
};
use crate::{
    pages::{Explanation, Failure},
    policy::Admission,
    proxy::{Answer, Exchange, Facts, Gateway, forwarding},
    web::Kind,
};

/// What somebody hears who is no web server of ours.
const NOT_TRUSTED: Explanation = Explanation {
    status: 403,
    title: "Only trusted proxies may ask here",
    detail: "The address that this comes from is not in trusted_proxies.",
    advice: "If a web server of the school asks, its address belongs into [server] trusted_proxies of gateway.toml.",
};

/// Why a description is not judged at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum Unjudged {
    /// It cannot be read.
    #[error("{0}")]
    Unreadable(#[from] OriginalError),
    /// The gateway's own paths are not the web server's to serve (GHSA-5wcc-hf24-rf5h).
    #[error("it asks for a path of the gateway's own, which belongs to the gateway itself")]
    Own,
    /// The rules for this app depend on the method.
    #[error("there is no method, and a route of this app names methods")]
    NoMethod,
    /// The app may act on another method than the one that is judged.
    #[error("a header asks for another method, and a route of this app names methods")]
    MethodOverride,
}

impl Gateway {
    /// Answers a web server. The request that it describes is judged by the code that judges requests for apps;
    /// only a request that would reach its app gets a 2xx.
    pub(in crate::proxy) async fn forward_auth(&self, request: &RequestHeader, facts: &Facts) -> Answer {
        if !facts.trusted {
            tracing::info!(event = "forward_auth_refused", reason = "the peer is not in trusted_proxies");
            return Answer::problem(&NOT_TRUSTED, &facts.request_id);
        }
        if !Endpoint::Auth.takes(&facts.method) {
            let answer = Answer::failure(Failure::MethodNotAllowed, Kind::Other, &facts.request_id);
            let answer = answer.because("the gateway's own path does not take the method");
            return answer.with(header::ALLOW, Endpoint::Auth.allows());
        }
        let fields: Vec<_> = request.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        let style = Style::of(&fields);
        let original =
            Original::read(&fields).map_err(Unjudged::from).and_then(|it| self.original(it, style, request, facts));
        let original = match original {
            Ok(original) => original,
            Err(why) => {
                tracing::info!(event = "forward_auth_refused", reason = %why);
                let answer = Answer::failure(Failure::BadRequest, facts.kind, &facts.request_id);
                return styled(answer.because(why.to_string()), style);
            }
        };
        let exchange = Exchange::new(original);
        let judged = self.judge(request, &exchange).await;
        self.count(&exchange, judged.as_ref().map_err(AsRef::as_ref));
        let answer = match &judged {
            // With the headers that the app is to get.
            Ok(_) => Answer::new(200, "text/plain; charset=utf-8", "").with_identity(exchange.identity()),
            Err(answer) => styled((**answer).clone(), style),
        };
        tell(&exchange.facts, judged.as_ref().ok(), &answer);
        answer
    }

    /// The described request as the rest of the gateway knows requests.
    fn original(
        &self,
        original: Original,
        style: Style,
        request: &RequestHeader,
        facts: &Facts,
    ) -> Result<Facts, Unjudged> {
        let Original { host, target, method } = original;
        if is_own(target.path()) {
            return Err(Unjudged::Own);
        }
        let app = self.table.app(&host);
        let by_method = app.is_some_and(|app| app.routes.iter().any(|route| !route.methods.is_empty()));
        let method = match method {
            Some(method) => method,
            None if by_method => return Err(Unjudged::NoMethod),
            None => Method::GET,
        };
        if by_method && forwarding::overrides_the_method(request) {
            return Err(Unjudged::MethodOverride);
        }
        // Web servers keep `Upgrade` to themselves, and pass the rest of the handshake on.
        let websocket = facts.websocket || request.headers.contains_key(header::SEC_WEBSOCKET_KEY);
        let kind = if websocket { Kind::Other } else { facts.kind };
        Ok(Facts { method, host, target, kind, websocket, may_redirect: style == Style::Whole, ..facts.clone() })
    }
}

/// An answer that is no yes, as whoever asks understands it.
fn styled(answer: Answer, style: Style) -> Answer {
    match style {
        Style::Whole => answer,
        Style::Verdict => verdict(&answer),
    }
}

/// nginx takes anything but 2xx, 401 and 403 for an error of its own making. A failure of ours is one; nobody is
/// let in by it.
fn verdict(answer: &Answer) -> Answer {
    let status = match answer.status() {
        401 => 401,
        failed @ 500.. => failed,
        _ => 403,
    };
    let told = [header::WWW_AUTHENTICATE, header::RETRY_AFTER];
    let verdict = Answer::new(status, "text/plain; charset=utf-8", "");
    let verdict = answer.reason().into_iter().fold(verdict, |verdict, reason| verdict.because(reason.clone()));
    told.into_iter()
        .filter_map(|name| Some((answer.header(&name)?, name)))
        .fold(verdict, |verdict, (value, name)| verdict.with(name, value))
}

/// The line that says what was asked: that of the question itself has only the gateway's own path.
fn tell(facts: &Facts, admission: Option<&Admission>, answer: &Answer) {
    let (status, reason) = (answer.status(), answer.reason().map(AsRef::<str>::as_ref));
    let app = admission.map(|admission| admission.app().name.as_str());
    let route = admission.map(|admission| admission.route().prefix.as_str());
    let session = admission.and_then(Admission::session).map(|session| session.record().handle.as_str());
    tracing::info!(
        event = "forward_auth",
        method = %facts.method, host = facts.host.name(), path = facts.target.path().as_str(), status,
        reason, app, route, session,
    );
}
