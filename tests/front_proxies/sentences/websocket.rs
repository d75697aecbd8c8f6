//! WebSockets through the web server.

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::{Error, Message, client::IntoClientRequest, handshake::client::Request};

use crate::{
    front::Proxy,
    scene::Scene,
    support::{HOST, RawApp},
};

fn handshake(cookie: Option<&str>, origin: &str) -> Request {
    let mut request = format!("ws://{HOST}/talk?room=1").into_client_request().unwrap();
    request.headers_mut().insert("origin", origin.parse().unwrap());
    request.headers_mut().insert("x-forwarded-user", "somebody-else".parse().unwrap());
    request.headers_mut().insert("connection", "Upgrade, X-Forwarded-User".parse().unwrap());
    if let Some(cookie) = cookie {
        let cookie = format!("__Host-schoolgate={cookie}; theme=dark");
        request.headers_mut().insert("cookie", cookie.parse().unwrap());
    }
    request
}

pub(crate) async fn a_websocket_speaks_for_a_signed_in_person(proxy: &Proxy) {
    let app = RawApp::start().await;
    let scene = Scene::around(proxy, app.address).await;
    let session = scene.signed_in("teacher-1").await.cookie(HOST, "__Host-schoolgate").unwrap();
    let request = handshake(Some(&session), &format!("https://{HOST}"));
    let stream = TcpStream::connect(scene.front.address).await.unwrap();
    let serve = async {
        let mut seen = None;
        let callback = |request: &_, answer| {
            seen = Some(http::Request::clone(request));
            Ok(answer)
        };
        let socket = app.accept().await.into_stream();
        let conversation = tokio_tungstenite::accept_hdr_async(socket, callback).await.unwrap();
        (conversation, seen.unwrap())
    };
    let (client, (mut server, seen)) = tokio::join!(tokio_tungstenite::client_async(request, stream), serve);
    let (mut client, answer) = client.unwrap();
    assert_eq!(answer.status(), 101);
    assert_eq!(seen.headers()["x-forwarded-user"], *scene.world.subject("teacher-1"));
    assert_eq!(
        (seen.headers()["cookie"].to_str().unwrap(), seen.uri().to_string()),
        ("theme=dark", "/talk?room=1".into())
    );
    assert_eq!(seen.headers()["connection"].to_str().unwrap().to_ascii_lowercase(), "upgrade");
    for round in 0..3 {
        let said = Message::text(format!("{round}"));
        client.send(said.clone()).await.unwrap();
        assert_eq!(server.next().await.unwrap().unwrap(), said);
        server.send(said.clone()).await.unwrap();
        assert_eq!(client.next().await.unwrap().unwrap(), said);
    }
}

pub(crate) async fn a_websocket_of_a_stranger_or_of_another_page_reaches_no_app(proxy: &Proxy) {
    let app = RawApp::start().await;
    let scene = Scene::around(proxy, app.address).await;
    let session = scene.signed_in("teacher-1").await.cookie(HOST, "__Host-schoolgate").unwrap();
    let ours = format!("https://{HOST}");
    for (cookie, origin) in [
        (None, &*ours),
        (Some("made-up"), &*ours),
        (Some(&*session), "https://other.school.example"),
        (Some(&*session), "http://library.school.example"),
        (Some(&*session), "null"),
    ] {
        let stream = TcpStream::connect(scene.front.address).await.unwrap();
        let answer = tokio_tungstenite::client_async(handshake(cookie, origin), stream).await;
        let Err(Error::Http(answer)) = answer else { panic!("{cookie:?} {origin} {answer:?}") };
        assert!([400, 401, 403].contains(&answer.status().as_u16()), "{cookie:?} {origin} {answer:?}");
        assert!(app.is_left_alone().await);
    }
}
