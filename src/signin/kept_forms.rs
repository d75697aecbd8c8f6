//! Forms that came after their session had died: kept sealed for a while, and given back once, to the same browser
//! and the same person.

use super::{
    Browser, FORM_LIFETIME, SentForm, SignIn,
    browser::{left, lived, whose},
    receipt::{self, Receipt},
};
use crate::{
    identity::Subject,
    session::{ActiveSession, Note, SessionKey, StoreError, Swap},
    web::{ReturnPath, SameSite, SetCookie},
};

/// What the first byte of a note says: there is a form, or there was one and it is on its way to the app.
const KEPT: u8 = b'k';
const SENT: u8 = b's';

/// A browser whose forms may be kept: it shows a session that is live or once was. Strangers fill no store.
#[derive(Clone, Debug)]
pub struct Sender {
    key: SessionKey,
    owner: Option<Subject>,
}

/// What came of keeping a form.
#[derive(Debug)]
pub enum Keeping {
    /// It is kept. The cookies are the receipt, and the end of those for which there is no more room.
    Kept(Vec<SetCookie>),
    /// The notes of the store have no room.
    StoreFull,
    /// The person has as many forms as are kept of one.
    TooMany,
    /// No sign-in leads back to its address.
    NoWayBack,
}

/// What there is for a receipt.
#[derive(Debug)]
pub enum Found {
    /// The form.
    Kept(Box<KeptForm>),
    /// It was sent.
    Sent,
    /// It was thrown away, or its time is over.
    Gone,
}

/// A form as it was kept at one moment.
#[derive(Debug)]
pub struct KeptForm {
    /// The form.
    pub form: SentForm,
    receipt: Receipt,
    note: Note,
}

impl KeptForm {
    /// What the button that acts on it says besides: which form, and the proof that our page was there.
    #[must_use]
    pub fn button(&self) -> (String, String) {
        (self.receipt.id(), self.receipt.token().expose().to_owned())
    }
}

/// What came of taking a form out.
#[derive(Debug)]
pub enum Taken {
    /// Nobody else has it or will have it.
    Form(Box<TakenForm>),
    /// Somebody was faster: a second click.
    Sent,
    /// It is not there, or it is another person's.
    Gone,
}

/// A form on its way to the app.
#[derive(Clone, Debug)]
pub struct TakenForm {
    /// The form.
    pub form: SentForm,
    receipt: Receipt,
}

/// What waits for somebody who is signed in.
#[derive(Debug, Default)]
pub struct Waiting {
    /// The oldest of their forms for the place.
    pub form: Option<Box<KeptForm>>,
    /// The end of receipts that were not theirs.
    pub cookies: Vec<SetCookie>,
}

impl SignIn {
    /// Whether, and for whom, a form of this browser may be kept.
    ///
    /// # Errors
    /// When the store is not available.
    pub async fn sender(&self, browser: &Browser<'_>) -> Result<Option<Sender>, StoreError> {
        let Some(key) = self.id_of(browser).map(|id| id.key()) else { return Ok(None) };
        if let Some(record) = self.sessions.last_record(&key).await? {
            return Ok(Some(Sender { key, owner: Some(record.person.subject.clone()) }));
        }
        // Whoever has left has nothing to come back for, and must not make room for more by signing in again and again.
        let may = self.sessions.is_marked(&lived(&key)).await? && !self.sessions.is_marked(&left(&key)).await?;
        Ok(may.then_some(Sender { key, owner: None }))
    }

    /// Keeps a form.
    ///
    /// # Errors
    /// When the store is not available.
    pub async fn keep_form(
        &self,
        sender: Sender,
        browser: &Browser<'_>,
        form: &SentForm,
    ) -> Result<Keeping, StoreError> {
        let Some(place) = form.way_back() else { return Ok(Keeping::NoWayBack) };
        let mut cookies = Vec::new();
        let mut others = self.receipts(browser);
        while others.len() >= receipt::MOST {
            let oldest = others.remove(0);
            self.throw_away(&oldest).await?;
            cookies.push(oldest.deletion(&self.names));
        }
        let now = self.clock.now();
        let mut receipt = Receipt::new(sender.key, 0, sender.owner, &place, now, &*self.entropy);
        let value = form.write(&beginning(KEPT, &receipt));
        for slot in (0..).take(receipt::MOST) {
            receipt.slot = slot;
            match self.write_where_free(&receipt, &value).await? {
                Swap::Done => {
                    cookies.push(receipt.cookie(&self.names, &self.sealer, &*self.entropy));
                    return Ok(Keeping::Kept(cookies));
                }
                Swap::Full => return Ok(Keeping::StoreFull),
                Swap::Changed => {}
            }
        }
        Ok(Keeping::TooMany)
    }

    /// Writes a note where there is none, or one whose form was sent.
    async fn write_where_free(&self, receipt: &Receipt, value: &[u8]) -> Result<Swap, StoreError> {
        let name = receipt.note();
        match self.sessions.swap_note(&name, None, Some(value), FORM_LIFETIME).await? {
            Swap::Changed => match self.sessions.note(&name).await? {
                Some(note) if note.value().first() == Some(&SENT) => {
                    self.sessions.swap_note(&name, Some(&note), Some(value), FORM_LIFETIME).await
                }
                Some(_) | None => Ok(Swap::Changed),
            },
            done @ (Swap::Done | Swap::Full) => Ok(done),
        }
    }

    /// What waits at a place for the one who is signed in. What another person has left in this browser is destroyed.
    ///
    /// # Errors
    /// When the store is not available: then nothing is destroyed, and nothing is given.
    pub async fn forms_for(
        &self,
        session: &ActiveSession,
        browser: &Browser<'_>,
        place: &ReturnPath,
    ) -> Result<Waiting, StoreError> {
        let mut waiting = Waiting::default();
        for receipt in self.receipts(browser) {
            if !self.is_theirs(&receipt, session).await? {
                self.throw_away(&receipt).await?;
                tracing::info!(event = "form_thrown_away", reason = "another person has signed in");
                waiting.cookies.push(receipt.deletion(&self.names));
            } else if waiting.form.is_none()
                && receipt.is_for(place)
                && let Found::Kept(kept) = self.find_form(receipt, browser).await?
            {
                waiting.form = Some(kept);
            }
        }
        Ok(waiting)
    }

    /// The receipt that a button was made for, in the browser that was shown it.
    #[must_use]
    pub fn receipt(&self, browser: &Browser<'_>, id: &str, token: &str) -> Option<Receipt> {
        let mut receipts = self.receipts(browser).into_iter();
        receipts.find(|receipt| receipt.id() == id && receipt.token().matches(token))
    }

    /// What there is for a receipt.
    ///
    /// # Errors
    /// When the store is not available.
    pub async fn find_form(&self, receipt: Receipt, browser: &Browser<'_>) -> Result<Found, StoreError> {
        let Some(note) = self.sessions.note(&receipt.note()).await? else { return Ok(Found::Gone) };
        let value = note.value();
        if let Some(form) = value.strip_prefix(&beginning(KEPT, &receipt)) {
            let form = SentForm::read(form).filter(|form| form.host == *browser.host);
            return Ok(form.map_or(Found::Gone, |form| Found::Kept(Box::new(KeptForm { form, receipt, note }))));
        }
        Ok(if value == beginning(SENT, &receipt) { Found::Sent } else { Found::Gone })
    }

    /// Takes a form out for its person, once.
    ///
    /// # Errors
    /// When the store is not available: the form may then have been taken out, and must not be sent.
    pub async fn take_form(&self, kept: Box<KeptForm>, session: &ActiveSession) -> Result<Taken, StoreError> {
        let KeptForm { form, receipt, note } = *kept;
        if !self.is_theirs(&receipt, session).await? {
            self.throw_away(&receipt).await?;
            return Ok(Taken::Gone);
        }
        let left = receipt.left(self.clock.now());
        let sent = beginning(SENT, &receipt);
        Ok(match self.sessions.swap_note(&receipt.note(), Some(&note), Some(&sent), left).await? {
            Swap::Done => Taken::Form(Box::new(TakenForm { form, receipt })),
            Swap::Changed => Taken::Sent,
            Swap::Full => Taken::Gone,
        })
    }

    /// Puts a form back of which the app has seen nothing, for the rest of its time.
    ///
    /// # Errors
    /// When the store is not available.
    pub async fn put_back(&self, taken: &TakenForm) -> Result<Swap, StoreError> {
        let TakenForm { form, receipt } = taken;
        let Some(note) = self.sessions.note(&receipt.note()).await? else { return Ok(Swap::Changed) };
        if note.value() != beginning(SENT, receipt) {
            return Ok(Swap::Changed);
        }
        let value = form.write(&beginning(KEPT, receipt));
        self.sessions.swap_note(&receipt.note(), Some(&note), Some(&value), receipt.left(self.clock.now())).await
    }

    /// Throws a form away because its person wants it; the cookie goes too.
    ///
    /// # Errors
    /// When the store is not available.
    pub async fn throw_form_away(&self, receipt: &Receipt) -> Result<SetCookie, StoreError> {
        self.throw_away(receipt).await?;
        Ok(receipt.deletion(&self.names))
    }

    /// Throws away what a browser has at this host. Its cookies go in any case: without them nobody finds a form.
    pub(super) async fn forget_forms(&self, browser: &Browser<'_>) -> Vec<SetCookie> {
        for receipt in self.receipts(browser) {
            if let Err(error) = self.throw_away(&receipt).await {
                tracing::warn!(event = "form_not_thrown_away", reason = %error);
            }
        }
        let names = &self.names;
        let shown = browser.jar.with_prefix(names.form_prefix());
        shown.map(|(name, _)| SetCookie::deletion(name, SameSite::Lax, names.secure())).collect()
    }

    async fn throw_away(&self, receipt: &Receipt) -> Result<(), StoreError> {
        let name = receipt.note();
        if let Some(note) = self.sessions.note(&name).await?
            && note.value().get(1..33) == Some(&receipt.number())
        {
            // When it has changed meanwhile, it is not this form any more, or it is on its way to the app.
            self.sessions.swap_note(&name, Some(&note), None, FORM_LIFETIME).await?;
        }
        Ok(())
    }

    fn receipts(&self, browser: &Browser<'_>) -> Vec<Receipt> {
        Receipt::all(&self.names, &browser.jar, &self.sealer, self.clock.now())
    }

    async fn is_theirs(&self, receipt: &Receipt, session: &ActiveSession) -> Result<bool, StoreError> {
        let person = &session.record().person.subject;
        match &receipt.owner {
            Some(owner) => Ok(owner == person),
            None => self.sessions.is_marked(&whose(&receipt.key, person)).await,
        }
    }
}

/// How a note begins: what it is, and which.
fn beginning(what: u8, receipt: &Receipt) -> [u8; 33] {
    let mut beginning = [what; 33];
    beginning[1..].copy_from_slice(&receipt.number());
    beginning
}
