//! A small Apple on loopback that plays from a script and remembers what it was asked.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::JoinHandle,
};
use url::{Url, form_urlencoded};

use crate::apple::{Endpoints, Service, Settings};

/// One answer of the small Apple.
pub(crate) struct Script {
    bytes: Vec<u8>,
    silent: bool,
    gate: Option<Arc<Notify>>,
}

impl Script {
    /// Whatever bytes, then the end of the connection.
    pub(crate) fn raw(bytes: &str) -> Self {
        Self { bytes: bytes.into(), silent: false, gate: None }
    }

    /// A well-formed answer.
    pub(crate) fn json(status: u16, body: &str) -> Self {
        Self::typed(status, "application/json;charset=UTF-8", body)
    }

    /// A maintenance page that mentions every error there is.
    pub(crate) fn html(status: u16) -> Self {
        Self::typed(status, "text/html", "<html>invalid_grant invalid_client</html>")
    }

    /// No answer, and no end.
    pub(crate) fn silence() -> Self {
        Self::raw("").then_silence()
    }

    /// No end after this.
    pub(crate) fn then_silence(self) -> Self {
        Self { silent: true, ..self }
    }

    /// Waits for a notification before it answers.
    pub(crate) fn held(self, gate: &Arc<Notify>) -> Self {
        Self { gate: Some(Arc::clone(gate)), ..self }
    }

    fn typed(status: u16, kind: &str, body: &str) -> Self {
        let length = body.len();
        Self::raw(&format!(
            "HTTP/1.1 {status} Status\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        ))
    }
}

/// One request that the small Apple got.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) line: String,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn form(&self) -> Vec<(String, String)> {
        form_urlencoded::parse(self.body.as_bytes()).into_owned().collect()
    }
}

/// A small Apple on loopback: answers from its script, then with status 500.
pub(crate) struct Server {
    base: Url,
    requests: Arc<Mutex<Vec<Received>>>,
    task: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start(scripts: impl IntoIterator<Item = Script>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let requests = Arc::<Mutex<Vec<Received>>>::default();
        let mut scripts: VecDeque<Script> = scripts.into_iter().collect();
        let seen = Arc::clone(&requests);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let script = scripts.pop_front().unwrap_or_else(|| Script::json(500, ""));
                tokio::spawn(play(stream, script, Arc::clone(&seen)));
            }
        });
        Self { base, requests, task }
    }

    pub(crate) fn url(&self, path: &str) -> Url {
        self.base.join(path).unwrap()
    }

    pub(crate) fn endpoints(&self) -> Endpoints {
        Service::Organization.endpoints(&self.base)
    }

    /// The settings of tests with this server for Apple.
    pub(crate) fn settings(&self) -> Settings {
        Settings { endpoints: self.endpoints(), ..super::settings() }
    }

    pub(crate) fn requests(&self) -> Vec<Received> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Closes the port.
    pub(crate) async fn stop(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

async fn play(stream: TcpStream, script: Script, seen: Arc<Mutex<Vec<Received>>>) -> Option<()> {
    let mut stream = BufReader::new(stream);
    let request = receive(&mut stream).await?;
    seen.lock().unwrap_or_else(PoisonError::into_inner).push(request);
    if let Some(gate) = &script.gate {
        gate.notified().await;
    }
    stream.get_mut().write_all(&script.bytes).await.ok()?;
    if script.silent {
        std::future::pending::<()>().await;
    }
    stream.get_mut().shutdown().await.ok()
}

async fn receive(stream: &mut BufReader<TcpStream>) -> Option<Received> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            text => lines.push(text.to_owned()),
        }
    }
    let line = lines.first()?.clone();
    let headers: Vec<(String, String)> = lines
        .iter()
        .skip(1)
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length =
        headers.iter().find(|(name, _)| name == "content-length").map_or(0, |(_, value)| value.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(Received { line, headers, body: String::from_utf8(body).unwrap() })
}
