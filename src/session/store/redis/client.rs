//! The one file that names the crate `redis`: a connection, what is asked over it, what is pushed to it.

use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo,
    ProtocolVersion, PushInfo, PushKind, RedisConnectionInfo, RedisError, TlsCertificates, Value,
    aio::MultiplexedConnection, aio::SendError, io::tcp::TcpSettings,
};

use super::{
    access::Access,
    url::Node,
    words::{Reply, Words},
};
use crate::crypto;

/// Longest message of a server that is passed on.
const LONGEST: usize = 200;

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The connection is of no use, or there is none. What was asked may have been done.
    Gone(String),
    /// The server says no, and has done nothing.
    Refused {
        /// What kind of no: the first word of Redis' message.
        code: String,
        /// Why.
        why: String,
    },
}

/// What comes unasked.
#[derive(Debug)]
pub(super) enum Pushed {
    /// A message of the channel that was subscribed.
    News(Vec<u8>),
    /// The connection has ended.
    Closed,
}

/// A connection, shared by all who ask over it at the same time.
#[derive(Clone, Debug)]
pub(super) struct Wire(MultiplexedConnection);

impl Wire {
    /// Connects; `pushed` hears what comes unasked, and must not block.
    pub(super) async fn open(
        node: &Node,
        access: &Access,
        database: u32,
        pushed: impl Fn(Pushed) + Send + Sync + 'static,
    ) -> Result<Self, Fault> {
        let at = |error: RedisError| fault(&error).at(node);
        let client = client(node, access, database).map_err(at)?;
        // Whoever asks has a limit of his own.
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None)
            .set_push_sender(move |push: PushInfo| -> Result<(), SendError> {
                if let Some(what) = what_was_pushed(push) {
                    pushed(what);
                }
                Ok(())
            });
        let connection = client.get_multiplexed_async_connection_with_config(&config).await.map_err(at)?;
        Ok(Self(connection))
    }

    /// Asks, once.
    pub(super) async fn ask(&self, words: &Words) -> Result<Reply, Fault> {
        let mut words = words.iter();
        let mut command = redis::cmd(std::str::from_utf8(words.next().unwrap_or_default()).unwrap_or_default());
        for word in words {
            command.arg(word);
        }
        let mut connection = self.0.clone();
        let answer = connection.send_packed_command(&command).await.map_err(|error| fault(&error))?;
        reply(answer)
    }

    /// Has the messages of a channel pushed.
    pub(super) async fn subscribe(&self, channel: &[u8]) -> Result<(), Fault> {
        self.0.clone().subscribe(channel).await.map_err(|error| fault(&error))
    }
}

impl Fault {
    /// The same with the server it came from.
    fn at(self, node: &Node) -> Self {
        match self {
            Self::Gone(why) => Self::Gone(format!("{node}: {why}")),
            Self::Refused { code, why } => Self::Refused { code, why: format!("{node}: {why}") },
        }
    }
}

fn client(node: &Node, access: &Access, database: u32) -> Result<Client, RedisError> {
    // RESP3, because only there a connection says by itself that it has ended.
    let mut login = RedisConnectionInfo::default()
        .set_protocol(ProtocolVersion::RESP3)
        .set_db(i64::from(database))
        .set_skip_set_lib_name();
    if let Some(password) = &access.password {
        login = login.set_password(password.expose());
        if let Some(user) = &access.user {
            login = login.set_username(user);
        }
    }
    let address = match access.tls {
        None => ConnectionAddr::Tcp(node.host.clone(), node.port),
        Some(_) => {
            ConnectionAddr::TcpTls { host: node.host.clone(), port: node.port, insecure: false, tls_params: None }
        }
    };
    let info: ConnectionInfo = address
        .into_connection_info()?
        .set_redis_settings(login)
        .set_tcp_settings(TcpSettings::default().set_nodelay(true));
    crypto::install();
    match &access.tls {
        None => Client::open(info),
        Some(tls) => {
            let client_tls = tls.client.as_ref().map(|(certificate, key)| ClientTlsConfig {
                client_cert: certificate.clone(),
                client_key: key.expose().as_bytes().to_vec(),
            });
            Client::build_with_tls(info, TlsCertificates { client_tls, root_cert: tls.authority.clone() })
        }
    }
}

fn what_was_pushed(PushInfo { kind, data }: PushInfo) -> Option<Pushed> {
    match kind {
        PushKind::Message => match data.into_iter().nth(1) {
            Some(Value::BulkString(message)) => Some(Pushed::News(message)),
            Some(_) | None => None,
        },
        PushKind::Disconnection => Some(Pushed::Closed),
        PushKind::Subscribe
        | PushKind::Unsubscribe
        | PushKind::PSubscribe
        | PushKind::PUnsubscribe
        | PushKind::SSubscribe
        | PushKind::SUnsubscribe
        | PushKind::PMessage
        | PushKind::SMessage
        | PushKind::Invalidate
        | PushKind::Other(_)
        | _ => None,
    }
}

fn reply(value: Value) -> Result<Reply, Fault> {
    match value {
        Value::Nil => Ok(Reply::Nil),
        Value::Int(number) => Ok(Reply::Number(number)),
        Value::Boolean(flag) => Ok(Reply::Number(i64::from(flag))),
        Value::BulkString(bytes) => Ok(Reply::Bytes(bytes)),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Ok(Reply::Bytes(text.into_bytes())),
        Value::Okay => Ok(Reply::Bytes(b"OK".to_vec())),
        Value::Array(list) | Value::Set(list) => {
            Ok(Reply::List(list.into_iter().map(reply).collect::<Result<_, _>>()?))
        }
        Value::Map(pairs) => {
            let flat = pairs.into_iter().flat_map(|(name, value)| [name, value]);
            Ok(Reply::List(flat.map(reply).collect::<Result<_, _>>()?))
        }
        Value::Double(number) => Ok(Reply::Bytes(number.to_string().into_bytes())),
        Value::ServerError(error) => Err(fault(&error.into())),
        Value::Attribute { .. } | Value::BigNumber(_) | Value::Push { .. } | _ => {
            Err(Fault::Gone("an answer of a kind that nobody asked for".to_owned()))
        }
    }
}

fn fault(error: &RedisError) -> Fault {
    match (error.kind(), error.code()) {
        (ErrorKind::Server(_) | ErrorKind::Extension, Some(code)) => {
            let why = format!("{code} {}", error.detail().unwrap_or_default());
            Fault::Refused { code: code.to_owned(), why: shown(&why) }
        }
        (ErrorKind::InvalidClientConfig | ErrorKind::AuthenticationFailed | ErrorKind::RESP3NotSupported, _) => {
            Fault::Refused { code: "CLIENT".to_owned(), why: shown(&error.to_string()) }
        }
        _ => Fault::Gone(shown(&error.to_string())),
    }
}

/// What a server says goes into the log: not too long, and without control characters.
fn shown(text: &str) -> String {
    text.trim().chars().filter(|letter| !letter.is_control()).take(LONGEST).collect()
}
