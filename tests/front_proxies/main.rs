//! Forward-auth with the web servers that schools run: nginx, Caddy, Apache and HAProxy, each with the very
//! configuration that `docs/forward-auth.md` prints, and the same sentences for all of them.
//!
//! CVE-2026-30851 (Caddy), CVE-2025-48865 (fabio), CVE-2025-64484 and CVE-2026-40575 (oauth2-proxy), GHSA-5wcc-hf24-rf5h
//! (authentik).
//!
//! The web servers must be there: without them these tests fail, and `scripts/setup test` installs them.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::result_large_err,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod front;
mod in_front;
mod proxies;
mod scene;
mod sentences;
#[path = "../support/mod.rs"]
mod support;

/// A test for each sentence, with one web server.
macro_rules! sentences_with {
    ($proxy:ident, $description:ident: $($room:ident { $($sentence:ident)* })*) => {
        mod $proxy {
            $($(
                #[tokio::test]
                async fn $sentence() {
                    crate::sentences::$room::$sentence(&crate::proxies::$description).await;
                }
            )*)*
        }
    };
}

/// The sentences of [`in_front`] with each web server that `docs/trusted-proxies.md` has.
macro_rules! in_front_of_the_gateway {
    ($($sentence:ident)*) => {
        mod nginx_in_front {
            in_front_of_the_gateway! { @with NGINX_IN_FRONT: $($sentence)* }
        }
        mod caddy_in_front {
            in_front_of_the_gateway! { @with CADDY_IN_FRONT: $($sentence)* }
        }
    };
    (@with $description:ident: $($sentence:ident)*) => {
        $(
            #[tokio::test]
            async fn $sentence() {
                crate::in_front::$sentence(&crate::proxies::$description).await;
            }
        )*
    };
}

in_front_of_the_gateway! {
    a_person_signs_in_and_the_app_knows_who_and_from_where
    nobody_says_where_they_are_or_which_host_they_ask
    what_only_web_servers_may_ask_is_not_there
    the_path_and_the_body_arrive_as_they_were_sent
    twenty_tabs_sign_in_side_by_side
    a_websocket_passes
}

/// The same sentences with each web server.
macro_rules! with_each_web_server {
    ($($sentences:tt)*) => {
        sentences_with! { apache, APACHE: $($sentences)* }
        sentences_with! { caddy, CADDY: $($sentences)* }
        sentences_with! { haproxy, HAPROXY: $($sentences)* }
        sentences_with! { nginx, NGINX: $($sentences)* }
    };
}

with_each_web_server! {
    signing_in {
        a_stranger_goes_to_apple_and_comes_back_signed_in
        many_tabs_sign_in_side_by_side
        a_script_hears_401_and_where_to_sign_in
        a_step_up_leads_to_apple_and_a_refusal_to_a_page
        somebody_who_is_not_allowed_sees_a_page_that_says_so
        a_sign_out_ends_it
    }
    identity {
        nobody_says_who_they_are
        what_the_gateway_does_not_say_the_app_does_not_hear
        the_app_gets_its_cookies_and_not_the_gateways
        the_answer_to_the_question_is_not_for_browsers
        a_yes_after_a_no_is_not_for_browsers
    }
    request {
        no_client_says_what_it_asks_for
        a_hundred_headers_are_no_way_in
        the_gateway_and_the_app_know_where_a_client_is
        a_route_is_judged_by_the_real_method
        what_was_judged_is_what_the_app_gets
        the_host_of_the_client_chooses_no_other_rules
        bodies_reach_the_app_whole
    }
    trouble {
        without_a_gateway_nobody_gets_in
        when_the_gateway_cannot_say_the_page_says_so
    }
    websocket {
        a_websocket_speaks_for_a_signed_in_person
        a_websocket_of_a_stranger_or_of_another_page_reaches_no_app
    }
}

#[test]
fn every_block_that_is_said_to_be_tested_is() {
    for (page, proxies, further) in [
        (proxies::FORWARD_AUTH, &proxies::ALL[..], &["gateway.toml"][..]),
        (proxies::IN_FRONT, &proxies::ALL_IN_FRONT[..], &[]),
    ] {
        let mut used: Vec<&str> = proxies.iter().flat_map(|proxy| proxy.blocks).chain(further).copied().collect();
        used.sort_unstable();
        assert_eq!(support::Document::of(page).names(), used, "{page}");
    }
}

#[tokio::test]
async fn the_lines_of_gateway_toml_are_a_configuration() {
    let site = support::Site::start().await;
    let apple = site.configuration(&[]);
    let apple = &apple[apple.find("[apple]").unwrap()..apple.find("[[app]]").unwrap()];
    let text = support::Document::of(proxies::FORWARD_AUTH)
        .block("gateway.toml")
        .replace("[server]\n", &format!("{apple}[server]\n"));
    let loaded = schoolgate::config::from_text(&site.path("gateway.toml"), &text, &|_| None);
    assert!(loaded.is_ok(), "{}", loaded.err().unwrap());
}
