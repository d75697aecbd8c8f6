//! What the book forgets, so that it never grows without end.

use super::*;
use crate::{demo::stand_in::people, entropy::SystemEntropy};

const NOW: Timestamp = Timestamp::from_seconds(1_700_000_000);

fn grant(grants: &mut Grants) -> GrantNumber {
    let approval = Approval {
        client_id: "client".into(),
        redirect_uri: "https://a.example/cb".into(),
        challenge: None,
        nonce: None,
        scopes: ScopeSet::new(),
        person: people::cast().swap_remove(0),
        at: NOW,
    };
    let code = grants.make_code(approval, &SystemEntropy);
    let offer = Offer {
        service: Service::Organization,
        client_id: "client",
        redirect_uri: "https://a.example/cb",
        code: &code,
        verifier: None,
    };
    grants.redeem(&offer, NOW).unwrap_or_else(|refusal| panic!("{refusal:?}"))
}

#[test]
fn the_book_forgets_the_oldest_grant_with_its_tokens() {
    let mut grants = Grants::default();
    let oldest = grant(&mut grants);
    let access = grants.make_access_token(oldest, NOW, Duration::from_secs(60), &SystemEntropy);
    let refresh = grants.make_refresh_token(oldest, &SystemEntropy);
    for _ in 1..MOST_GRANTS {
        // Later grants of the same code book; made by hand, to be quick.
        grants.made += 1;
        let approval = grants.grants[&oldest].clone();
        grants.grants.insert(GrantNumber(grants.made), approval);
    }
    assert!(grants.bearer(&access, NOW).is_some());
    grant(&mut grants);
    assert_eq!(grants.grants.len(), MOST_GRANTS);
    assert!(grants.bearer(&access, NOW).is_none());
    assert!(grants.refresh(&refresh, "client", AfterRevocation::InvalidGrant).is_err());
    assert!(grants.refresh_tokens.is_empty() && grants.access_tokens.is_empty());
}

#[test]
fn old_codes_and_access_tokens_are_swept_and_dead_refresh_tokens_do_not_pile_up() {
    let mut grants = Grants::default();
    let number = grant(&mut grants);
    for step in 0..100_u64 {
        let at = NOW.plus(Duration::from_secs(step * 400));
        grants.make_access_token(number, at, Duration::from_secs(60), &SystemEntropy);
    }
    assert!(grants.access_tokens.len() <= 2, "{}", grants.access_tokens.len());
    for place in 0..2 * MOST_GRANTS {
        let dead = RefreshToken { grant: number, state: RefreshState::Rotated };
        grants.refresh_tokens.insert(place.to_string(), dead);
    }
    grants.make_refresh_token(number, &SystemEntropy);
    assert_eq!(grants.refresh_tokens.len(), 1);
}
