//! Which trace a request belongs to: W3C Trace Context, level 1 (<https://www.w3.org/TR/trace-context-1/>).

use std::num::NonZeroU32;

use crate::entropy::{self, Entropy};

/// Most characters of a `tracestate` that is passed on (section 3.3.1.5 asks for 512 at least).
const LONGEST_STATE: usize = 1024;

/// Most members of a `tracestate` (section 3.3.1.1).
const MOST_MEMBERS: usize = 32;

/// Which traces are recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sampling {
    /// None: nobody collects them. What others decided is passed on.
    Off,
    /// One in so many of those that begin here; of the others, those that were recorded so far.
    OneIn(NonZeroU32),
}

/// The trace that one request belongs to, and the gateway's own part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext {
    trace_id: String,
    span_id: String,
    parent: Option<String>,
    sampled: bool,
    state: Option<String>,
}

impl TraceContext {
    /// A trace that begins with this request. Its `trace_id` is 32 lower-case hexadecimal digits.
    pub fn begin(trace_id: &str, sampling: Sampling, entropy: &dyn Entropy) -> Self {
        let sampled = match sampling {
            // Apps that record what they are told to may do so: nobody else decides.
            Sampling::Off => true,
            Sampling::OneIn(many) => is_chosen(trace_id, many),
        };
        Self {
            trace_id: trace_id.to_owned(),
            span_id: entropy::public_hex::<8>(entropy),
            parent: None,
            sampled,
            state: None,
        }
    }

    /// The trace that the sender's `traceparent` names; `None` when it names none, and a new one has to begin
    /// (section 4.3).
    pub fn go_on<'a>(
        mut parents: impl Iterator<Item = &'a [u8]>,
        states: impl Iterator<Item = &'a [u8]>,
        entropy: &dyn Entropy,
    ) -> Option<Self> {
        let parent = parents.next().filter(|_| parents.next().is_none())?;
        let (trace_id, parent, sampled) = parse(std::str::from_utf8(parent).ok()?.trim_matches([' ', '\t']))?;
        Some(Self {
            trace_id: trace_id.to_owned(),
            span_id: entropy::public_hex::<8>(entropy),
            parent: Some(parent.to_owned()),
            sampled,
            state: joined(states),
        })
    }

    /// The trace: 32 hexadecimal digits.
    #[must_use]
    pub fn trace_id(&self) -> &str {
        &self.trace_id
    }

    /// The gateway's own part of it: 16 hexadecimal digits.
    #[must_use]
    pub fn span_id(&self) -> &str {
        &self.span_id
    }

    /// The sender's part, when the trace began before.
    #[must_use]
    pub fn parent(&self) -> Option<&str> {
        self.parent.as_deref()
    }

    /// Whether it is recorded.
    #[must_use]
    pub const fn is_sampled(&self) -> bool {
        self.sampled
    }

    /// The `traceparent` for the next, whose parent is `span_id`.
    #[must_use]
    pub fn to_parent(&self, span_id: &str) -> String {
        ["00-", &self.trace_id, "-", span_id, if self.sampled { "-01" } else { "-00" }].concat()
    }

    /// The `tracestate` for the next: what came is passed on as it is.
    #[must_use]
    pub fn state(&self) -> Option<&str> {
        self.state.as_deref()
    }
}

/// Whether a trace is one in so many: by its number, so that everybody decides alike.
fn is_chosen(trace_id: &str, many: NonZeroU32) -> bool {
    let tail = trace_id.get(16..).and_then(|tail| u64::from_str_radix(tail, 16).ok()).unwrap_or(0);
    tail.is_multiple_of(u64::from(many.get()))
}

/// Section 3.2: trace, parent and whether it is recorded. A later version may have more behind these (section 3.2.2.5).
fn parse(text: &str) -> Option<(&str, &str, bool)> {
    let mut parts = text.splitn(5, '-');
    let (version, trace_id, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let sizes = [(version, 2), (trace_id, 32), (parent, 16), (flags, 2)];
    let is_hex = |part: &str| part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let is_whole = sizes.iter().all(|(part, size)| part.len() == *size && is_hex(part));
    let is_zero = |part: &str| part.bytes().all(|byte| byte == b'0');
    let more = parts.next().is_some();
    if !is_whole || version == "ff" || (version == "00" && more) || is_zero(trace_id) || is_zero(parent) {
        return None;
    }
    Some((trace_id, parent, u8::from_str_radix(flags, 16).ok()? & 1 == 1))
}

/// Section 3.3: all lines as one list; nothing when it is not well-formed.
fn joined<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Option<String> {
    let lines: Vec<_> = lines.map(std::str::from_utf8).collect::<Result<_, _>>().ok()?;
    let members: Vec<_> =
        lines.iter().flat_map(|line| line.split(',')).map(|member| member.trim_matches([' ', '\t'])).collect();
    let members: Vec<_> = members.into_iter().filter(|member| !member.is_empty()).collect();
    let joined = members.join(",");
    let mut keys: Vec<_> = members.iter().filter_map(|member| Some(member.split_once('=')?.0)).collect();
    let well_formed = members.iter().all(|member| is_member(member));
    keys.sort_unstable();
    let unique = keys.windows(2).all(|pair| pair[0] != pair[1]);
    let fits = !members.is_empty() && members.len() <= MOST_MEMBERS && joined.len() <= LONGEST_STATE;
    (well_formed && unique && fits).then_some(joined)
}

/// Section 3.3.1.3: `key=value`.
fn is_member(member: &str) -> bool {
    let Some((key, value)) = member.split_once('=') else { return false };
    let is_key = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-*/@".contains(&byte);
    let begins = key.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let is_value = |byte: u8| (0x20..=0x7e).contains(&byte) && byte != b'=' && byte != b',';
    begins
        && key.len() <= 256
        && key.bytes().all(is_key)
        && key.matches('@').count() <= 1
        && (1..=256).contains(&value.len())
        && value.bytes().all(is_value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SystemEntropy;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const PARENT: &str = "b7ad6b7169203331";

    fn go_on(parents: &[&str], states: &[&str]) -> Option<TraceContext> {
        let bytes = |lines: &[&str]| lines.iter().map(|line| line.as_bytes().to_vec()).collect::<Vec<_>>();
        let (parents, states) = (bytes(parents), bytes(states));
        TraceContext::go_on(parents.iter().map(Vec::as_slice), states.iter().map(Vec::as_slice), &SystemEntropy)
    }

    #[test]
    fn a_trace_goes_on_under_a_parent_of_our_own() {
        let context = go_on(&[&format!("00-{TRACE}-{PARENT}-01")], &[]).unwrap();
        assert_eq!((context.trace_id(), context.parent(), context.is_sampled()), (TRACE, Some(PARENT), true));
        assert!(context.span_id().len() == 16 && context.span_id() != PARENT);
        assert_eq!(context.to_parent("00f067aa0ba902b7"), format!("00-{TRACE}-00f067aa0ba902b7-01"));
        for (flags, expected) in [("00", "00"), ("01", "01"), ("02", "00"), ("ff", "01")] {
            let context = go_on(&[&format!("00-{TRACE}-{PARENT}-{flags}")], &[]).unwrap();
            assert!(context.to_parent(PARENT).ends_with(&format!("-{expected}")), "{flags}");
        }
    }

    #[test]
    fn a_later_version_is_read_as_far_as_it_is_known() {
        for text in [format!("cc-{TRACE}-{PARENT}-01"), format!("01-{TRACE}-{PARENT}-01-what-ever")] {
            assert!(go_on(&[&text], &[]).unwrap().to_parent(PARENT).starts_with("00-"), "{text}");
        }
    }

    #[test]
    fn what_is_no_traceparent_names_no_trace() {
        let zeros = "0".repeat(32);
        for text in [
            String::new(),
            "00".into(),
            format!("ff-{TRACE}-{PARENT}-01"),
            format!("00-{TRACE}-{PARENT}-01-more"),
            format!("00-{TRACE}-{PARENT}-01-"),
            format!("01-{TRACE}-{PARENT}-01.more"),
            format!("00-{}-{PARENT}-01", TRACE.to_uppercase()),
            format!("00-{zeros}-{PARENT}-01"),
            format!("00-{TRACE}-{}-01", &zeros[..16]),
            format!("00-{}-{PARENT}-01", &TRACE[1..]),
            format!("00-{TRACE}-{PARENT}-1"),
            format!("0-{TRACE}-{PARENT}-01"),
            format!("00-{TRACE}-{PARENT}"),
            format!("00_{TRACE}_{PARENT}_01"),
            format!("00-{TRACE}-{PARENT}-0x"),
        ] {
            assert_eq!(go_on(&[&text], &[]), None, "{text:?}");
        }
        let fine = format!("00-{TRACE}-{PARENT}-01");
        assert_eq!(go_on(&[&fine, &fine], &[]), None, "two lines");
        assert_eq!(go_on(&[], &["a=1"]), None);
    }

    #[test]
    fn a_state_is_passed_on_whole_or_not_at_all() {
        let state = |lines: &[&str]| go_on(&[&format!("00-{TRACE}-{PARENT}-01")], lines).unwrap().state;
        assert_eq!(state(&["rojo=00f067aa0ba902b7,congo=t61 x"]).as_deref(), Some("rojo=00f067aa0ba902b7,congo=t61 x"));
        assert_eq!(state(&["a=1 ,, b@c=2", "1d/-*_=3"]).as_deref(), Some("a=1,b@c=2,1d/-*_=3"));
        let many: String = (0..33).map(|number| format!("k{number}=v,")).collect();
        let long = format!("a={}", "x".repeat(257));
        for odd in
            ["", ",", "a", "a=", "=1", "A=1", "a=1,a=2", "a=b=c", "a=\u{7f}", "a b=1", "a@b@c=1", "é=1", &many, &long]
        {
            assert_eq!(state(&[odd]), None, "{odd:?}");
        }
    }

    #[test]
    fn one_in_so_many_is_recorded() {
        let sampled = |many| {
            let sampling = Sampling::OneIn(NonZeroU32::new(many).unwrap());
            let drawn = (0..2000).map(|_| entropy::hex::<16>(&SystemEntropy));
            drawn.filter(|id| TraceContext::begin(id, sampling, &SystemEntropy).is_sampled()).count()
        };
        assert_eq!((sampled(1), sampled(u32::MAX)), (2000, 0));
        assert!((300..700).contains(&sampled(4)));
        assert!(TraceContext::begin(TRACE, Sampling::Off, &SystemEntropy).to_parent(PARENT).ends_with("-01"));
    }
}
