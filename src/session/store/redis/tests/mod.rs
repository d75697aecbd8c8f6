//! Redis, as real servers: the contract of stores, what is heard, what fails, and where it may be.

mod at_rest;
mod events;
mod failures;
mod places;

use std::sync::OnceLock;

use super::{RedisUrl, process::Cluster, testing};
use crate::session::store::suite::{Bench, store_contract};

async fn plain() -> Bench {
    let server = testing::server();
    testing::bench_at(testing::url(server), server).await
}

/// The URL names a node that may have other slots.
async fn cluster() -> Bench {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    let server = &CLUSTER.get_or_init(|| Cluster::start(false)).servers[0];
    let url = RedisUrl::parse(&format!("redis+cluster://127.0.0.1:{}", server.port())).unwrap();
    testing::bench_at(url, server).await
}

mod on_one_server {
    super::store_contract!(super::plain);
}

mod in_a_cluster {
    super::store_contract!(super::cluster);
}

mod with_the_permissions_of_the_docs {
    super::store_contract!(super::places::permitted);
}
