//! Where Redis may be: behind Sentinels, in a cluster, behind TLS, with a user who may do little.

use std::sync::{Arc, OnceLock};

use crate::session::store::redis::{
    process::{Cluster, Sentinels, Server, server_with_tls},
    testing,
    words::Words,
};
use crate::{
    clock::SystemClock,
    entropy::SystemEntropy,
    session::{
        End, RedisStore, RedisUrl, Store, StoreError,
        store::suite::Bench,
        testing::{codec, lifetimes},
    },
};

const DOCS: &str = include_str!("../../../../../docs/redis.md");

/// A store at a place where it may not work.
async fn closed(url: &str) -> Arc<RedisStore> {
    let url = RedisUrl::parse(url).unwrap();
    let opened = RedisStore::open(url, codec(), lifetimes(), Arc::new(SystemClock), Arc::new(SystemEntropy)).await;
    Arc::new(opened.unwrap_or_else(|refusal| panic!("{refusal}")))
}

/// A store at a place where it works.
async fn open(url: &str) -> Arc<RedisStore> {
    let store = closed(url).await;
    testing::works(&store).await;
    store
}

/// Makes the user of the documentation, with the password `hunter2`.
fn permit(server: &Server, tag: &str, added: &str) -> String {
    let line = DOCS.lines().find_map(|line| line.strip_prefix("user schoolgate ")).expect("an ACL in docs/redis.md");
    let rules = line.replace(">PASSWORD", ">hunter2").replace("{schoolgate}", tag);
    let arguments = ["ACL", "SETUSER", "schoolgate"].into_iter().chain(rules.split_whitespace());
    server.cli(&arguments.chain(added.split_whitespace()).collect::<Vec<_>>())
}

/// A store whose user may do what the documentation lists, and nothing else.
pub(super) async fn permitted() -> Bench {
    static SERVER: OnceLock<Server> = OnceLock::new();
    let server = SERVER.get_or_init(|| {
        let server = Server::start();
        assert_eq!(permit(&server, "{test-*}", ""), "OK");
        server
    });
    let url = format!("redis://schoolgate:hunter2@127.0.0.1:{}/3", server.port());
    testing::bench_at(RedisUrl::parse(&url).unwrap(), server).await
}

#[tokio::test]
async fn when_the_primary_dies_the_sentinels_name_another_and_the_sessions_are_there() {
    let mut redis = Sentinels::start(None);
    let store = open(&format!("redis+sentinel://{}/school", redis.hosts())).await;
    let key = testing::session(&store).await;
    redis.servers[1].waits_until(&["DBSIZE"], |said| said.parse().is_ok_and(|count: u32| count > 3));
    redis.servers[0].kill();
    redis.waits_for_primary(1);
    testing::works(&store).await;
    assert!(store.find(&key).await.unwrap().is_some());
    testing::session(&store).await;
    // The old one comes back as a replica, and nobody takes it for the primary.
    redis.servers[0].revive();
    redis.servers[0].waits_until(&["ROLE"], |said| said.starts_with("slave"));
    store.ready().await.unwrap();
}

#[tokio::test]
async fn when_the_primary_freezes_another_is_used_and_the_frozen_one_is_not_believed_later() {
    let redis = Sentinels::start(Some("hunter2"));
    let store = open(&format!("redis+sentinel://:hunter2@{}/school/5", redis.hosts())).await;
    let key = testing::session(&store).await;
    redis.servers[0].freeze();
    assert!(store.find(&key).await.is_err());
    redis.waits_for_primary(1);
    testing::works(&store).await;
    let younger = testing::session(&store).await;
    redis.servers[0].thaw();
    redis.servers[0].waits_until(&["ROLE"], |said| said.starts_with("slave"));
    testing::works(&store).await;
    assert!(store.find(&younger).await.unwrap().is_some());
}

#[tokio::test]
async fn one_sentinel_of_three_is_enough_and_a_service_that_none_knows_is_refused() {
    let mut redis = Sentinels::start(None);
    let hosts = redis.hosts();
    redis.sentinels[0].kill();
    redis.sentinels[1].freeze();
    let store = open(&format!("redis+sentinel://{hosts}/school")).await;
    testing::works(&store).await;
    redis.sentinels[1].thaw();
    let url = RedisUrl::parse(&format!("redis+sentinel://{hosts}/other")).unwrap();
    let opened = RedisStore::open(url, codec(), lifetimes(), Arc::new(SystemClock), Arc::new(SystemEntropy)).await;
    let refusal = opened.unwrap_err().to_string();
    assert!(refusal.contains("knows no service other"), "{refusal}");
}

#[tokio::test]
async fn when_a_node_of_a_cluster_dies_its_replica_takes_over() {
    let mut cluster = Cluster::start(true);
    let owner = cluster.node_of("{schoolgate}:x");
    let named = cluster.servers[(owner + 1) % 3].port();
    let store = open(&format!("redis+cluster://127.0.0.1:{named}")).await;
    let key = testing::session(&store).await;
    cluster.servers[owner + 3].waits_until(&["DBSIZE"], |said| said.parse().is_ok_and(|count: u32| count > 3));
    cluster.servers[owner].kill();
    cluster.servers[owner + 3].waits_until(&["ROLE"], |said| said.starts_with("master"));
    testing::works(&store).await;
    assert!(store.find(&key).await.unwrap().is_some());
    // The node of the URL dies too: the others are known by now.
    cluster.servers[(owner + 1) % 3].kill();
    cluster.servers[(owner + 1) % 3 + 3].waits_until(&["ROLE"], |said| said.starts_with("master"));
    cluster.servers[owner + 3].cli(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    testing::works(&store).await;
    assert!(store.find(&key).await.unwrap().is_some());
}

#[tokio::test]
async fn a_slot_that_moves_takes_the_sessions_with_it_and_none_seems_to_be_gone_on_the_way() {
    let cluster = Cluster::start(false);
    let owner = cluster.node_of("{schoolgate}:x");
    let next = (owner + 1) % 3;
    let store = open(&format!("redis+cluster://{}", cluster.hosts())).await;
    let keys = [testing::session(&store).await, testing::session(&store).await];
    let slot = cluster.servers[0].cli(&["CLUSTER", "KEYSLOT", "{schoolgate}:x"]);
    let ids = [owner, next].map(|node| cluster.servers[node].cli(&["CLUSTER", "MYID"]));
    for (node, state, other) in [(next, "IMPORTING", &ids[0]), (owner, "MIGRATING", &ids[1])] {
        assert_eq!(cluster.servers[node].cli(&["CLUSTER", "SETSLOT", &slot, state, other]), "OK");
    }
    // The names are bytes, which no command line takes.
    let in_slot = Words::of("CLUSTER GETKEYSINSLOT").arg(slot.as_str()).arg("1000");
    for name in store.link.ask(&in_slot).await.unwrap().list().unwrap() {
        let port = cluster.servers[next].port().to_string();
        let to = Words::of("MIGRATE 127.0.0.1").arg(port).arg(name.bytes().unwrap()).arg("0").arg("1000");
        store.link.ask(&to).await.unwrap();
        for key in &keys {
            let found = store.find(key).await;
            assert!(matches!(&found, Ok(Some(_)) | Err(StoreError::Unavailable(_))), "{found:?}");
        }
    }
    let end = End { key: keys[0], expected: None, revocation: None };
    assert!(matches!(store.remove(vec![end]).await, Err(StoreError::Unavailable(_))));
    for node in [next, owner, (owner + 2) % 3] {
        assert_eq!(cluster.servers[node].cli(&["CLUSTER", "SETSLOT", &slot, "NODE", &ids[1]]), "OK");
    }
    testing::works(&store).await;
    for key in &keys {
        assert!(store.find(key).await.unwrap().is_some());
    }
    assert_eq!(store.count().await.unwrap(), 2);
}

#[tokio::test]
async fn tls_needs_an_authority_that_is_known_and_a_certificate_where_one_is_wanted() {
    let server = server_with_tls(false);
    let file = |name: &str| server.path(name).display().to_string();
    let at = format!("rediss://127.0.0.1:{}", server.port());
    let store = open(&format!("{at}?ca_file={}", file("ca.pem"))).await;
    testing::session(&store).await;
    for url in [at.clone(), format!("{at}?ca_file={}", file("client.pem"))] {
        testing::says(&*closed(&url).await, "certificate").await;
    }
    let plain = closed(&at.replace("rediss", "redis")).await;
    assert!(plain.ready().await.is_err());
}

#[tokio::test]
async fn a_server_that_wants_a_certificate_gets_ours() {
    let server = server_with_tls(true);
    let file = |name: &str| server.path(name).display().to_string();
    let at = format!("rediss://127.0.0.1:{}?ca_file={}", server.port(), file("ca.pem"));
    assert!(closed(&at).await.ready().await.is_err());
    let ours = format!("{at}&certificate_file={}&private_key_file={}", file("client.pem"), file("client.key"));
    testing::session(&*open(&ours).await).await;
}

#[tokio::test]
async fn in_a_cluster_a_user_needs_what_the_docs_add() {
    let cluster = Cluster::start(false);
    let added = DOCS.split('`').find(|text| text.starts_with("+cluster|")).expect("the permissions in docs/redis.md");
    for server in &cluster.servers {
        assert_eq!(permit(server, "{schoolgate}", added), "OK");
    }
    testing::session(&*open(&format!("redis+cluster://schoolgate:hunter2@{}", cluster.hosts())).await).await;
}
