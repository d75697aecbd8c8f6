//! The words that labels are made of: closed sets, each an enum. Nothing that a request says becomes a label.

/// The labels of one series: names of our own, and words of closed sets or names that stand in the configuration.
pub(crate) type LabelSet = Vec<(&'static str, String)>;

/// One of a closed set of words.
pub trait Word: Copy + std::fmt::Debug + PartialEq + Send + Sync + 'static {
    /// All of them, in the order of [`Self::place`].
    const ALL: &'static [Self];

    /// The name of the label that has these words.
    const LABEL: &'static str;

    /// The word. It is an interface: dashboards and alerts know it.
    fn word(self) -> &'static str;

    /// Its place in [`Self::ALL`].
    fn place(self) -> usize;

    /// The labels that say it.
    fn labels(self) -> LabelSet {
        vec![(Self::LABEL, self.word().to_owned())]
    }
}

/// Makes an enum whose variants are the words of a label.
macro_rules! words {
    ($(#[$about:meta])* $name:ident as $label:literal { $($(#[$meaning:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$meaning])* $variant,)+
        }

        impl $crate::telemetry::metrics::word::Word for $name {
            const ALL: &'static [Self] = &[$(Self::$variant),+];
            const LABEL: &'static str = $label;

            fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }

            fn place(self) -> usize {
                self as usize
            }
        }
    };
}

pub(super) use words;
