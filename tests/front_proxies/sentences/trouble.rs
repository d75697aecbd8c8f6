//! When the gateway is not there, or cannot say.

use std::{net::SocketAddr, time::Duration};

use futures_util::future::join_all;

use crate::{
    front::{Front, Proxy},
    scene::Scene,
    support::{Echo, HOST, Request, world::at},
};

pub(crate) async fn without_a_gateway_nobody_gets_in(proxy: &Proxy) {
    let app = Echo::start().await;
    let front = Front::start(proxy, SocketAddr::from(([127, 0, 0, 1], 9)), app.address);
    let paths = ["/grades", "/public/page", "/optional", "/.schoolgate/me", "/.schoolgate/auth"];
    let requests = paths.into_iter().flat_map(|path| {
        [Request::get(path).navigation(), Request::get(path), Request::new("POST", path)].map(|request| (path, request))
    });
    // Some try several times before they give up.
    let answers = join_all(requests.map(async |(path, request)| {
        let request = request.header("Host", HOST).header("Cookie", "__Host-schoolgate=x");
        (path, request.send(front.address).await)
    }));
    for (path, answer) in answers.await {
        assert!(answer.status >= 500 || answer.status == 404 && path.ends_with("auth"), "{path} {answer:?}");
    }
    assert_eq!(app.count(), 0);
}

pub(crate) async fn when_the_gateway_cannot_say_the_page_says_so(proxy: &Proxy) {
    let scene = Scene::of(proxy).await;
    let mut browser = scene.signed_in("teacher-1").await;
    scene.world.clock.advance(Duration::from_secs(3601));
    scene.world.apple.switches().down(true);
    scene.app().forget();
    let answer = browser.open(&at("/grades")).await;
    assert_eq!((answer.status, answer.header("content-type")), (503, Some("text/html; charset=utf-8")));
    assert!(answer.header("retry-after").is_some());
    assert_eq!(browser.fetch(&at("/grades")).await.status, 503);
    assert_eq!(scene.app().count(), 0);
    scene.world.apple.switches().down(false);
    scene.world.clock.advance(Duration::from_secs(120));
    assert_eq!(browser.open(&at("/grades")).await.status, 200);
}
