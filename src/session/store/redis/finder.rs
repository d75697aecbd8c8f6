//! Finds the server that holds the sessions: the one of the URL, the one that the Sentinels name, or the
//! cluster's node that has our slot.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::time::timeout;

use super::{
    access::Access,
    client::{Fault, Pushed, Wire},
    keys::Keys,
    url::{Node, RedisUrl, Topology},
    words::{Reply, Words},
};

/// How long one Sentinel or node may take to say who has the sessions.
const SAYING: Duration = Duration::from_millis(700);

/// Most nodes of a cluster that are remembered.
const MOST_KNOWN: usize = 64;

/// Finds the server.
#[derive(Debug)]
pub(super) struct Finder {
    url: RedisUrl,
    keys: Keys,
    /// Nodes of the cluster: those of the URL and those they told of.
    known: Mutex<Vec<Node>>,
}

impl Finder {
    pub(super) fn new(url: RedisUrl, keys: Keys) -> Self {
        let known = match &url.topology {
            Topology::Cluster(nodes) => nodes.clone(),
            Topology::One(_) | Topology::Sentinel { .. } => Vec::new(),
        };
        Self { url, keys, known: Mutex::new(known) }
    }

    /// The URL without user and password.
    pub(super) fn place(&self) -> String {
        self.url.to_string()
    }

    /// Where the sessions are now.
    pub(super) async fn find(&self) -> Result<Node, Fault> {
        match &self.url.topology {
            Topology::One(node) => Ok(node.clone()),
            Topology::Sentinel { nodes, service } => {
                let access = Access::read(&self.url).await?;
                let answers = nodes.iter().map(|node| sentinel(node, &access, service)).collect();
                most_agree(answers, nodes.len()).await
            }
            Topology::Cluster(_) => {
                let access = Access::read(&self.url).await?;
                let nodes = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
                let answers = nodes.iter().map(|node| self.cluster(node, &access)).collect();
                most_agree(answers, nodes.len()).await
            }
        }
    }

    /// Connects to a server.
    pub(super) async fn open(
        &self,
        node: &Node,
        pushed: impl Fn(Pushed) + Send + Sync + 'static,
    ) -> Result<Wire, Fault> {
        let access = Access::read(&self.url).await?;
        Wire::open(node, &access, self.url.database, pushed).await
    }

    /// Asks one node who has the slot of our keys, and remembers the others.
    async fn cluster(&self, node: &Node, access: &Access) -> Result<Node, Fault> {
        let wire = Wire::open(node, access, 0, |_| {}).await?;
        let slot = wire.ask(&Words::of("CLUSTER KEYSLOT").arg(self.keys.proof())).await?;
        let map = wire.ask(&Words::of("CLUSTER SLOTS")).await?;
        let slots = Slots::read(&map, node).ok_or_else(|| odd(node))?;
        self.remember(&slots);
        let slot = slot.count().map_err(|_| odd(node))?;
        slots
            .primary_of(slot)
            .ok_or_else(|| refused("CLUSTERDOWN", format!("{node}: no node of the cluster has our slot")))
    }

    /// The URL may name one node alone, and that one may be gone when the others are needed.
    fn remember(&self, slots: &Slots) {
        let Topology::Cluster(of_url) = &self.url.topology else { return };
        let mut nodes = of_url.clone();
        for node in slots.0.iter().flat_map(|(_, _, nodes)| nodes).take(MOST_KNOWN) {
            if !nodes.contains(node) {
                nodes.push(node.clone());
            }
        }
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = nodes;
    }
}

/// Asks one Sentinel who is the primary of a service. A Sentinel that wants a password gets the same.
async fn sentinel(node: &Node, access: &Access, service: &str) -> Result<Node, Fault> {
    let question = Words::of("SENTINEL GET-MASTER-ADDR-BY-NAME").arg(service);
    let ask = async |access: &Access| Wire::open(node, access, 0, |_| {}).await?.ask(&question).await;
    let answer = match ask(&access.anonymous()).await {
        Err(Fault::Refused { code, .. }) if code == "NOAUTH" => ask(access).await?,
        other => other?,
    };
    match &answer {
        Reply::Nil => Err(refused("NOSERVICE", format!("{node}: this Sentinel knows no service {service}"))),
        Reply::List(parts) => match &parts[..] {
            [host, port] => Ok(Node { host: host.text().to_owned(), port: port_of(port).ok_or_else(|| odd(node))? }),
            _ => Err(odd(node)),
        },
        Reply::Number(_) | Reply::Bytes(_) => Err(odd(node)),
    }
}

/// What most say; without a majority, what the most of those say that answer in time. One that was cut off
/// from the others may long be wrong.
async fn most_agree(answers: Vec<impl Future<Output = Result<Node, Fault>>>, everybody: usize) -> Result<Node, Fault> {
    let mut answers: FuturesUnordered<_> = answers.into_iter().map(|answer| timeout(SAYING, answer)).collect();
    let mut votes: Vec<(Node, usize)> = Vec::new();
    let mut fault = None;
    while let Some(answer) = answers.next().await {
        match answer {
            Ok(Ok(node)) => {
                let count = match votes.iter_mut().find(|(known, _)| *known == node) {
                    Some((_, count)) => {
                        *count += 1;
                        *count
                    }
                    None => {
                        votes.push((node.clone(), 1));
                        1
                    }
                };
                if count * 2 > everybody {
                    return Ok(node);
                }
            }
            Ok(Err(why)) => fault = Some(why),
            Err(_) => fault = fault.or_else(|| Some(Fault::Gone("no answer in time".to_owned()))),
        }
    }
    let most = votes.into_iter().max_by_key(|(_, count)| *count);
    most.map(|(node, _)| node).ok_or_else(|| fault.unwrap_or_else(|| Fault::Gone("nobody to ask".to_owned())))
}

/// Who has which slots.
struct Slots(Vec<(u64, u64, Vec<Node>)>);

impl Slots {
    /// Reads the answer that `asked` gave.
    fn read(map: &Reply, asked: &Node) -> Option<Self> {
        let ranges = map.list().ok()?.iter().map(|range| {
            let [first, last, nodes @ ..] = range.list().ok()? else { return None };
            let nodes = nodes.iter().filter_map(|node| {
                let [host, port, ..] = node.list().ok()? else { return None };
                // A node that does not know its own name gives none: it is the one that was asked.
                let host = match host.text() {
                    "" | "?" => asked.host.clone(),
                    host => host.to_owned(),
                };
                Some(Node { host, port: port_of(port)? })
            });
            Some((first.count().ok()?, last.count().ok()?, nodes.collect()))
        });
        ranges.collect::<Option<_>>().map(Self)
    }

    fn primary_of(&self, slot: u64) -> Option<Node> {
        let (_, _, nodes) = self.0.iter().find(|(first, last, _)| (*first..=*last).contains(&slot))?;
        nodes.first().cloned()
    }
}

fn port_of(reply: &Reply) -> Option<u16> {
    reply.count().ok().and_then(|port| u16::try_from(port).ok()).filter(|port| *port != 0)
}

fn odd(node: &Node) -> Fault {
    Fault::Gone(format!("{node}: an answer that does not fit"))
}

fn refused(code: &str, why: String) -> Fault {
    Fault::Refused { code: code.to_owned(), why }
}
