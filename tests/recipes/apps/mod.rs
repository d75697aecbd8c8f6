//! The apps, as their pages say to set them up.

mod django;
mod dokuwiki;
mod java;
mod mediawiki;
mod php;

pub(crate) use django::DJANGO;
pub(crate) use dokuwiki::DOKUWIKI;
pub(crate) use java::JAVA;
pub(crate) use mediawiki::MEDIAWIKI;
pub(crate) use php::PHP;

use crate::app::Recipe;

/// All of them.
pub(crate) const ALL: [&Recipe; 5] = [&DJANGO, &DOKUWIKI, &JAVA, &MEDIAWIKI, &PHP];

/// Whom the pages name as the one who runs the app.
const SOMEBODY: &str = "001514.0685fcddf96a4871a7dcf841d95a7e54.2233";
