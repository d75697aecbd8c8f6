//! Hears what other processes do, and knows whether it hears.
//!
//! Every second a listener tells itself the time, by the way that all news take: in over the link, out over
//! a connection of its own. Redis keeps the order, so a beat that has come back says that everything before
//! it has been heard. One that does not come back says that nobody knows.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::{
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
    time::sleep,
};

use super::{
    client::Pushed,
    keys::Keys,
    link::{Link, Live},
    news::{NAME, News},
    scripts,
};
use crate::{
    clock::{SharedClock, Timestamp},
    session::Listener,
};

/// Time between two beats.
const BEAT: Duration = Duration::from_secs(1);

/// A beat that takes longer is lost.
const LATE: Duration = Duration::from_secs(2);

/// Wait before another connection is made.
const PAUSE: Duration = Duration::from_millis(250);

/// Listens on behalf of a listener.
pub(super) struct Ear {
    pub(super) link: Arc<Link>,
    pub(super) keys: Keys,
    pub(super) clock: SharedClock,
    pub(super) name: [u8; NAME],
    pub(super) listener: Weak<dyn Listener>,
}

/// Why a period of hearing is over.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// Something may have been missed.
    Lost,
    /// Nobody wants to hear any more.
    Unwanted,
}

/// A period of hearing that is over.
struct Period {
    has_heard: bool,
    end: End,
}

impl Ear {
    /// Listens until the listener is gone.
    pub(super) async fn listen(self) {
        while self.listener.strong_count() > 0 {
            let live = self.link.live().await;
            let (sender, mut pushed) = unbounded_channel();
            let pass_on = move |what: Pushed| {
                // Nobody reads any more when the period is over.
                let _ = sender.send(what);
            };
            match self.link.listen(&live, &self.keys.channel(), pass_on).await {
                Ok(_wire) => {
                    let period = self.hear(&live, &mut pushed).await;
                    if let Some(listener) = self.listener.upgrade() {
                        listener.missed();
                    }
                    // A server that takes no beat is tried again and again, and that is told once.
                    if period.has_heard && period.end == End::Lost {
                        tracing::warn!(event = "redis_news_lost");
                    }
                }
                Err(error) => tracing::debug!(event = "redis_news_away", reason = %error),
            }
            sleep(PAUSE).await;
        }
    }

    /// Hears for as long as every beat comes back in time.
    async fn hear(&self, live: &Live, pushed: &mut UnboundedReceiver<Pushed>) -> Period {
        let mut has_heard = false;
        let over = |has_heard, end| Period { has_heard, end };
        loop {
            let moment = self.clock.now();
            let call = scripts::BEAT
                .with(vec![self.keys.probe(), self.keys.proof()])
                .arg(self.keys.channel())
                .arg(News::beat(&self.name, moment));
            let there = async { live.run(&call).await.map_err(|_| End::Lost) };
            let there_and_back = async { tokio::try_join!(there, self.pass_on(pushed, Some(moment))) };
            tokio::select! {
                outcome = there_and_back => match outcome {
                    Ok(_) => has_heard = true,
                    Err(end) => return over(has_heard, end),
                },
                () = self.clock.sleep(LATE) => {
                    // Whichever way it is that does not lead through: both are made anew.
                    live.give_up();
                    return over(has_heard, End::Lost);
                }
                () = live.lost() => return over(has_heard, End::Lost),
            }
            tokio::select! {
                outcome = self.pass_on(pushed, None) => if let Err(end) = outcome {
                    return over(has_heard, end);
                },
                () = self.clock.sleep(BEAT) => {}
                () = live.lost() => return over(has_heard, End::Lost),
            }
        }
    }

    /// Tells the listener what comes, until a beat of ours has come back.
    async fn pass_on(&self, pushed: &mut UnboundedReceiver<Pushed>, until: Option<Timestamp>) -> Result<(), End> {
        loop {
            let Some(Pushed::News(message)) = pushed.recv().await else { return Err(End::Lost) };
            let listener = self.listener.upgrade().ok_or(End::Unwanted)?;
            match News::read(&message) {
                Some(News::Changed(key, generation)) => listener.changed(&key, generation),
                Some(News::Ended(keys)) => keys.iter().for_each(|key| listener.ended(key)),
                Some(News::Beat { name, moment }) if name == self.name && until == Some(moment) => {
                    listener.heard(moment);
                    return Ok(());
                }
                Some(News::Beat { .. }) | None => {}
            }
        }
    }
}
