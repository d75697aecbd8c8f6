//! All events that there are. `docs/logs.md` tells what each means and which fields it has; `tests/log_events.rs` finds
//! every event in the source, and fails on one that is not here or not there.

/// How many lines an event may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// As many as there are: one for a request that was promised, or what no stranger can cause at will.
    Free,
    /// So many in ten seconds, and one line that counts the rest.
    Limited,
}

/// Something that the log tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// The value of the field `event`.
    pub name: &'static str,
    /// How many lines it may have.
    pub pace: Pace,
}

impl Event {
    pub(super) fn named(name: &str) -> Option<&'static Self> {
        EVENTS.binary_search_by(|event| event.name.cmp(name)).ok().and_then(|index| EVENTS.get(index))
    }
}

/// All events, in the order of their names.
pub const EVENTS: &[Event] = &[
    limited("accept_failed"),
    free("acme_certificate_unreadable"),
    free("acme_failed"),
    free("acme_order"),
    free("admin_request_failed"),
    free("admin_request_refused"),
    limited("apple_call"),
    free("assertion_keys_back"),
    free("assertion_keys_changed"),
    free("assertion_keys_unavailable"),
    limited("assertion_unavailable"),
    limited("browser_not_remembered"),
    free("certificate_expired"),
    free("certificate_expires_soon"),
    free("certificate_refused"),
    free("certificate_taken"),
    free("configuration_note"),
    free("configuration_problem"),
    free("configuration_warning"),
    free("descriptor_limit_not_raised"),
    free("drain_incomplete"),
    free("draining"),
    free("draining_streams"),
    limited("form_kept"),
    limited("form_not_kept"),
    limited("form_not_offered"),
    limited("form_not_put_back"),
    limited("form_not_thrown_away"),
    limited("form_offered"),
    limited("form_put_back"),
    limited("form_sent"),
    limited("form_thrown_away"),
    free("forward_auth"),
    limited("forward_auth_refused"),
    free("handed_over"),
    limited("handshake_failed"),
    limited("handshake_of_an_authority"),
    limited("http2_refused"),
    limited("id_token_refused"),
    limited("id_token_verified"),
    free("last_seen_delayed"),
    free("lines_lost"),
    limited("no_healthy_upstream"),
    limited("not_allowed"),
    free("notification_not_understood"),
    free("notification_received"),
    limited("notification_refused"),
    limited("notification_repeated"),
    limited("panicked"),
    limited("proxy_header_refused"),
    limited("record_unreadable"),
    free("redis_away"),
    free("redis_back"),
    free("redis_evicts"),
    free("redis_forgets"),
    free("redis_news_away"),
    free("redis_news_lost"),
    limited("refresh_failed"),
    limited("refresh_not_kept"),
    free("refreshed"),
    free("refreshes_cut_off"),
    limited("refused"),
    free("reload_refused"),
    free("reloaded"),
    free("request"),
    limited("request_without_tls"),
    free("restart_needed"),
    limited("revocation_delayed"),
    free("revocation_given_up"),
    free("revocation_lost"),
    free("revocation_queue_unavailable"),
    free("revocation_refused"),
    free("revocations_waiting"),
    free("revoked"),
    limited("scope_missing"),
    free("session_ended"),
    free("session_ended_by_apple"),
    free("session_replaced"),
    free("sessions_ended_by_administrator"),
    free("sessions_not_all_ended"),
    limited("sign_in_begun"),
    limited("sign_in_failed"),
    limited("sign_in_rate_exceeded"),
    free("signed_in"),
    free("signed_out"),
    free("stand_in_keys_kept"),
    limited("stand_in_method"),
    free("started"),
    free("stopped"),
    free("stopped_at_once"),
    free("store_created"),
    free("store_failed"),
    free("store_key_changed"),
    free("store_opened"),
    free("store_recovered"),
    limited("store_unavailable"),
    free("store_was_open_to_others"),
    free("stream_closed"),
    free("suppressed"),
    free("sweep_failed"),
    free("systemd_not_told"),
    limited("traces_not_exported"),
    free("upstream_down"),
    limited("upstream_failed"),
    limited("upstream_unreachable"),
    limited("upstream_unresolvable"),
    free("upstream_up"),
    free("watchdog_not_fed"),
];

const fn free(name: &'static str) -> Event {
    Event { name, pace: Pace::Free }
}

const fn limited(name: &'static str) -> Event {
    Event { name, pace: Pace::Limited }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_is_found_by_its_name() {
        for event in EVENTS {
            assert_eq!(Event::named(event.name), Some(event));
        }
        assert_eq!(Event::named("no_such_event"), None);
    }
}
