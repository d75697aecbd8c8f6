//! Asks upstreams whether they are well.

use std::time::Duration;

use futures_util::future::join_all;
use http::{Uri, Version};
use pingora::{
    Error, ErrorType,
    connectors::{ConnectorOptions, http::Connector},
    http::RequestHeader,
    protocols::http::client::HttpSession,
};
use tokio::time::timeout;

use super::{Asks, NOBODY, pool::Pool};
use crate::{
    clock::Clock,
    policy::{Protocol, Upstream},
    proxy::{failures::in_short, resolver::Resolver},
    web::Target,
};

/// How long between two checks of an upstream.
const INTERVAL: Duration = Duration::from_secs(5);

/// How long one check may take, from the look-up of the name to the head of the answer.
const TIMEOUT: Duration = Duration::from_secs(3);

/// What the checks call themselves in the app's log.
const USER_AGENT: &str = concat!("schoolgate-health/", env!("CARGO_PKG_VERSION"));

/// Asks all upstreams of these apps for ever, each at its own pace.
pub(super) async fn watch(pools: impl Iterator<Item = &Pool>, resolver: &Resolver, clock: &dyn Clock) {
    let connector = connector();
    let several = pools.filter(|pool| pool.balancer.has_choice());
    let members = several.flat_map(|pool| pool.app.upstreams.iter().enumerate().map(move |one| (pool, one)));
    join_all(members.map(|(pool, (index, upstream))| {
        let connector = &connector;
        async move {
            loop {
                let asked = timeout(TIMEOUT, ask(connector, resolver, pool, upstream)).await;
                let found = asked
                    .unwrap_or_else(|_late| Error::e_explain(ErrorType::ConnectTimedout, "the check took too long"));
                pool.checked(index, found.map_err(|error| in_short(&error)));
                clock.sleep(INTERVAL).await;
            }
        }
    }))
    .await;
}

/// Makes connections for checks. They are never given back, so that each check has its own.
pub(super) fn connector() -> Connector {
    Connector::new(Some(ConnectorOptions { ca_file: Some(NOBODY.into()), ..ConnectorOptions::new(0) }))
}

/// One check: a connection, with TLS where the upstream has it, and an answer when there is a path to ask for.
async fn ask(connector: &Connector, resolver: &Resolver, pool: &Pool, upstream: &Upstream) -> pingora::Result<()> {
    let address = resolver.resolve(upstream).await;
    let address = address.map_err(|error| Error::because(ErrorType::ConnectNoRoute, "no address", error))?;
    let peer = pool.peer(upstream, address, Asks::Health)?;
    let (mut session, _) = connector.get_http_session(&*peer).await?;
    let Some(target) = &pool.app.health_path else { return Ok(()) };
    match status(&mut session, target, pool, upstream).await? {
        200..=399 => Ok(()),
        status => Error::e_explain(ErrorType::HTTPStatus(status), "the answer to health_path"),
    }
}

/// The status of the answer to a question.
pub(super) async fn status(
    session: &mut HttpSession,
    target: &Target,
    pool: &Pool,
    upstream: &Upstream,
) -> pingora::Result<u16> {
    session.write_request_header(Box::new(request(target, pool, upstream)?)).await?;
    session.finish_request_body().await?;
    loop {
        session.read_response_header().await?;
        match session.response_header().map_or(0, |head| head.status.as_u16()) {
            100..=199 => {}
            status => return Ok(status),
        }
    }
}

/// Nobody is signed in here: neither cookies nor identity go along.
fn request(target: &Target, pool: &Pool, upstream: &Upstream) -> pingora::Result<RequestHeader> {
    let mut request = RequestHeader::build("GET", target.to_origin_form().as_bytes(), Some(4))?;
    let host = pool.host_header(upstream)?;
    request.insert_header("User-Agent", USER_AGENT)?;
    request.insert_header("Accept", "*/*")?;
    match upstream.protocol {
        Protocol::Negotiated => {
            request.insert_header("Host", host)?;
            request.insert_header("Connection", "close")?;
        }
        Protocol::Http2 => {
            let uri = Uri::builder().scheme(upstream.scheme.as_str()).authority(host.as_bytes());
            let uri = uri.path_and_query(target.to_origin_form()).build();
            request.set_uri(uri.map_err(|error| Error::because(ErrorType::InvalidHTTPHeader, "a URI", error))?);
            request.set_version(Version::HTTP_2);
        }
    }
    Ok(request)
}
