//! The recipes of `docs/recipes/`: each with the real app, and with the very blocks that the page prints.
//!
//! The apps must be there: without them these tests fail, and `scripts/setup test` installs them.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::result_large_err,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod app;
mod apps;
mod scene;
mod sentences;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeSet;

use support::Document;

/// A test for each sentence, with each app.
macro_rules! all_apps {
    ($($sentence:ident)*) => {
        all_apps! { @each ($($sentence)*) django DJANGO, dokuwiki DOKUWIKI, java JAVA, mediawiki MEDIAWIKI, php PHP }
    };
    (@each $sentences:tt $($app:ident $recipe:ident),*) => {
        $(mod $app {
            all_apps! { @tests $recipe $sentences }
        })*
    };
    (@tests $recipe:ident ($($sentence:ident)*)) => {
        $(
            #[tokio::test]
            async fn $sentence() {
                crate::sentences::$sentence(&crate::apps::$recipe).await;
            }
        )*
    };
}

all_apps! {
    a_person_signs_in_and_the_app_greets_them
    a_forged_header_makes_nobody_somebody
    a_sign_out_ends_it_and_the_next_person_is_another
    the_apps_own_log_out_ends_the_gateways_session_too
    who_is_not_of_the_school_reaches_no_app
}

#[tokio::test]
async fn mediawiki_takes_no_two_people_for_one() {
    sentences::no_two_people_are_one_user(&apps::MEDIAWIKI).await;
}

#[test]
fn every_block_that_is_said_to_be_tested_is() {
    for recipe in apps::ALL {
        let document = Document::of(recipe.page);
        let printed: BTreeSet<&str> = document.names().into_iter().collect();
        let used: BTreeSet<&str> = recipe.blocks.iter().copied().chain(["gateway.toml"]).collect();
        assert_eq!(printed, used, "{}", recipe.page);
    }
}

#[test]
fn every_recipe_is_tested() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/recipes");
    let pages = std::fs::read_dir(folder).unwrap().map(|page| page.unwrap().file_name().into_string().unwrap());
    let tested: BTreeSet<_> = apps::ALL.iter().map(|recipe| recipe.page.rsplit('/').next().unwrap()).collect();
    for page in pages.filter(|page| page != "README.md" && page != "web-servers.md") {
        assert!(tested.contains(&*page), "{page}");
    }
}
