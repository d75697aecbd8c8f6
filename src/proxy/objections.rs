//! What stands against an admitted request, before a byte of it goes to the app.

use http::{HeaderName, Method, header};

use super::{Answer, Gateway, exchange::Facts, failures::BODY_TOO_LARGE, fields::Fields, own};
use crate::{
    pages::{Denial, Failure},
    policy::{Admission, Decision, decide},
    telemetry::Decision as Told,
    web::{Host, Scheme, Target},
};

/// WebDAV's second path (RFC 4918, section 10.3).
const DESTINATION: HeaderName = HeaderName::from_static("destination");

impl Gateway {
    /// The answer to an admitted request that goes no further; `None` when nothing stands against it.
    pub(super) fn objection(&self, request: &impl Fields, facts: &Facts, admission: &Admission) -> Option<Answer> {
        self.objected(request, facts, admission).map(|answer| answer.telling(Told::Objection))
    }

    fn objected(&self, request: &impl Fields, facts: &Facts, admission: &Admission) -> Option<Answer> {
        let fail = |failure, why| Some(Answer::failure(failure, facts.kind, &facts.request_id).because(why));
        let announced = request.text(&header::CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
        if announced.is_some_and(|length| length > admission.app().max_body) {
            return fail(Failure::TooLarge, BODY_TOO_LARGE);
        }
        // RFC 6455, section 10.2: a WebSocket is not bound by the same-origin policy. A page of another
        // host must not use this person's session.
        let scheme = self.settings.external_scheme;
        if facts.websocket && admission.session().is_some() && !is_our_page(request, &facts.host, scheme) {
            return fail(Failure::BadRequest, "a page of another origin opens a WebSocket with somebody's session");
        }
        match self.destination(request, facts, admission) {
            Destination::None | Destination::Open => None,
            Destination::Unclear => {
                fail(Failure::BadRequest, "Destination is none of this host, or could be read in two ways")
            }
            Destination::Closed => {
                let answer = Answer::problem(&Denial::Forbidden.explanation(), &facts.request_id);
                Some(answer.because("Destination is a path that is not open to this person"))
            }
        }
    }

    /// Judges the path that `COPY` and `MOVE` write to as a request for it would be judged: the app acts
    /// on that one too.
    fn destination(&self, request: &impl Fields, facts: &Facts, admission: &Admission) -> Destination {
        let field = DESTINATION;
        let named = request.values(&field).count();
        if named == 0 {
            return Destination::None;
        }
        let target = request.text(&field).filter(|_| named == 1);
        let Some(target) = target.and_then(|named| Target::parse(named, &facts.host).ok()) else {
            return Destination::Unclear;
        };
        if own::is_own(target.path()) {
            return Destination::Closed;
        }
        // Who writes there with PUT may also write there with MOVE.
        let open = [&facts.method, &Method::PUT].iter().all(|method| {
            let found = self.table.find(&facts.host, method, target.path());
            let decision = found.map(|lookup| decide(lookup, facts.kind, admission.session()));
            matches!(decision, Ok(Decision::Admit(other)) if other.app().name == admission.app().name)
        });
        if open { Destination::Open } else { Destination::Closed }
    }
}

/// What `Destination` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Destination {
    /// There is none.
    None,
    /// A path that is open to this person.
    Open,
    /// A path that is not.
    Closed,
    /// Something that could be read in two ways, or another host.
    Unclear,
}

/// Whether the page is of this host, and came the way that browsers use: what arrives over plain HTTP
/// may be anybody's. The port does not count, as nowhere does.
pub(super) fn is_our_page(request: &impl Fields, host: &Host, scheme: Scheme) -> bool {
    if request.values(&header::ORIGIN).next().is_none() {
        return true;
    }
    let url = request.text(&header::ORIGIN).and_then(|origin| url::Url::parse(origin).ok());
    url.filter(|url| url.scheme() == scheme.as_str())
        .and_then(|url| Host::parse(url.host_str()?).ok())
        .is_some_and(|origin| origin == *host)
}
