//! Every class of forged or odd ID token that a verifier must refuse. Most make a forged notification too.
//!
//! The list joins what a verifier must refuse by OpenID Connect Core and RFC 8725, what JWT libraries used
//! the obvious way let through, and the bypasses that were published for other gateways.

macro_rules! forgeries {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// A class of forged ID token.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Forgery { $($(#[$doc])* $name),* }

        impl Forgery {
            /// All classes, for tests that go through every one.
            pub const ALL: &[Self] = &[$(Self::$name),*];
        }
    };
}

forgeries! {
    /// `alg` = `none` and no signature (RFC 8725, section 2.1).
    AlgNone,
    /// `alg` = `nOnE` and no signature.
    AlgNoneInOddCase,
    /// `alg` = `none` over the signature of the true token.
    AlgNoneWithSignature,
    /// No `alg`.
    AlgMissing,
    /// `HS256` with the public key in PEM as the HMAC key.
    HmacWithPublicPem,
    /// `HS256` with the modulus as the HMAC key.
    HmacWithModulus,
    /// `HS256` with an empty HMAC key.
    HmacWithEmptyKey,
    /// `RS512` by the right key.
    Rs512,
    /// `PS256` by the right key.
    Ps256,
    /// `RS256` in the header, `RS512` in the signature.
    Rs512CalledRs256,
    /// Signed by a key that was never published, under its own `kid`.
    UnknownKid,
    /// Signed by a key that was never published, under the `kid` of a published one.
    ForeignKey,
    /// Signed by the right key, without a `kid`.
    KidMissing,
    /// Signed by the right key, with an empty `kid`.
    KidEmpty,
    /// A `kid` that is a path.
    KidIsPath,
    /// A `kid` of 64 kB.
    KidHuge,
    /// A `kid` that is a number.
    KidNumber,
    /// Signed by a foreign key that the header brings along as `jwk`.
    EmbeddedKey,
    /// As above, under the `kid` of a published key.
    EmbeddedKeyKnownKid,
    /// Signed by a foreign key; `jku` says where to find it.
    KeyByAddress,
    /// Signed by the right key, `crit` names an extension that nobody knows (RFC 7515, section 4.1.11).
    Critical,
    /// Signed by the right key, `crit` names `exp`.
    CriticalKnownName,
    /// Signed by the right key, `crit` is empty.
    CriticalEmpty,
    /// Signed by the right key, `b64` = false and marked critical (RFC 7797).
    Unencoded,
    /// Signed by a published key with `use` = `enc`.
    KeyForEncryption,
    /// Signed by a published key whose `key_ops` do not have `verify`.
    KeyForOtherOperations,
    /// Signed by a published key whose `alg` is `RS512`.
    KeyForOtherAlgorithm,
    /// The header has `alg` twice.
    HeaderDuplicateAlg,
    /// The header has `kid` twice.
    HeaderDuplicateKid,
    /// The claims were changed after signing.
    TamperedClaims,
    /// One bit of the signature is wrong.
    TamperedSignature,
    /// The signature is missing.
    SignatureMissing,
    /// Two parts instead of three.
    TwoParts,
    /// Four parts instead of three.
    FourParts,
    /// Base64url with padding, which JWS forbids (RFC 7515, section 2).
    Padded,
    /// Five parts: an encrypted token's shape.
    FiveParts,
    /// The claims are no JSON.
    ClaimsNotJson,
    /// The claims are a JSON array.
    ClaimsArray,
    /// The token is the empty text.
    EmptyToken,
    /// `iss` is `https://account.apple.com`.
    IssuerAccount,
    /// `iss` is `https://appleid.apple.com/auth/oauth2/v2`.
    IssuerOrganizationService,
    /// `iss` has a slash at its end.
    IssuerWithSlash,
    /// `iss` begins like the true one.
    IssuerLookalike,
    /// `iss` is an array with the true one.
    IssuerArray,
    /// No `iss`.
    IssuerMissing,
    /// `aud` is another client.
    AudienceOther,
    /// `aud` begins like the true one.
    AudienceLookalike,
    /// `aud` has a second client, and there is no `azp`.
    AudienceSecond,
    /// `aud` has a second client, and `azp` is that one.
    AudienceSecondAuthorized,
    /// `aud` is an empty array.
    AudienceEmpty,
    /// `aud` is an object.
    AudienceObject,
    /// No `aud`.
    AudienceMissing,
    /// `azp` is another client (OpenID Connect Core, section 3.1.3.7).
    AuthorizedPartyOther,
    /// It expired an hour ago.
    Expired,
    /// No `exp`.
    ExpiryMissing,
    /// `exp` is a text.
    ExpiryText,
    /// `exp` is 1e300.
    ExpiryHuge,
    /// `exp` is below zero.
    ExpiryNegative,
    /// It was issued in an hour.
    IssuedInFuture,
    /// No `iat`.
    IssuedMissing,
    /// `iat` is a text.
    IssuedText,
    /// `iat` is 1e300.
    IssuedHuge,
    /// It is not valid for another hour (`nbf`).
    NotYetValid,
    /// No `nonce`.
    NonceMissing,
    /// Another `nonce`.
    NonceOther,
    /// An empty `nonce`.
    NonceEmpty,
    /// `nonce` is an array with the true one.
    NonceArray,
    /// No `sub`.
    SubjectMissing,
    /// An empty `sub`.
    SubjectEmpty,
    /// A `sub` with a NUL.
    SubjectBinary,
    /// A `sub` with a line break and a header after it.
    SubjectHeader,
    /// A `sub` of 64 kB.
    SubjectHuge,
    /// A `sub` that is a number.
    SubjectNumber,
    /// A `sub` beyond ASCII.
    SubjectBeyondAscii,
    /// `sub` stands twice: first an administrator, then the true one.
    DuplicateSubject,
    /// `sub` stands twice: first the true one, then an administrator.
    DuplicateSubjectLast,
    /// `aud` stands twice.
    DuplicateAudience,
    /// `org_id` with a line break and a header after it.
    OrganizationHeader,
    /// `at_hash` of another access token.
    AccessTokenHashOther,
    /// `at_hash` is a number.
    AccessTokenHashNumber,
    /// `c_hash` of another code.
    CodeHashOther,
}

impl Forgery {
    /// Whether its key is published, but for something else.
    #[must_use]
    pub const fn needs_a_key_for_other_purposes(self) -> bool {
        matches!(self, Self::KeyForEncryption | Self::KeyForOtherOperations | Self::KeyForOtherAlgorithm)
    }

    /// Whether it forges a notification too. Those have no `nonce`, no hashes and, outside their events, no `sub` and
    /// no `org_id`; they need no `exp`; and in the organization service their issuer is another one.
    #[must_use]
    pub const fn fits_a_notification(self) -> bool {
        !matches!(
            self,
            Self::IssuerOrganizationService
                | Self::ExpiryMissing
                | Self::NonceMissing
                | Self::NonceOther
                | Self::NonceEmpty
                | Self::NonceArray
                | Self::SubjectMissing
                | Self::SubjectEmpty
                | Self::SubjectBinary
                | Self::SubjectHeader
                | Self::SubjectHuge
                | Self::SubjectNumber
                | Self::SubjectBeyondAscii
                | Self::DuplicateSubject
                | Self::DuplicateSubjectLast
                | Self::OrganizationHeader
                | Self::AccessTokenHashOther
                | Self::AccessTokenHashNumber
                | Self::CodeHashOther
        )
    }
}
