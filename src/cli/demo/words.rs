//! What the demo writes: the gateway's configuration, and what to do now.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use url::Url;

use super::{CLIENT_ID, KEY_ID, TEAM_ID, place::Place};

/// Everything that the demo is about.
pub(super) struct Scene<'a> {
    pub(super) place: &'a Place,
    pub(super) folder: &'a Path,
    pub(super) apple: Url,
    pub(super) book: SocketAddr,
    pub(super) board: SocketAddr,
}

impl Scene<'_> {
    /// The file of the configuration.
    pub(super) fn configuration_file(&self) -> PathBuf {
        self.folder.join("gateway.toml")
    }

    /// The gateway.toml of the demo: one route is public, one needs a sign-in, one a scope; and a second app.
    pub(super) fn configuration(&self) -> String {
        let listen: Vec<_> = self.place.listen().iter().map(|address| format!("\"{address}\"")).collect();
        let listen = listen.join(", ");
        let address = self.place.address();
        let apple = self.apple.as_str().trim_end_matches('/');
        let (book, board) = (self.book, self.board);
        format!(
            r#"# The gateway of `schoolgate demo`. A real one has external_scheme = "https" and no base_url.
# Paths begin in the folder of this file.

[server]
listen = [{listen}]
admin_listen = "127.0.0.1:0"
external_scheme = "http"
state_dir = "state"
shutdown_grace = "1s"

[apple]
client_id = "{CLIENT_ID}"
team_id = "{TEAM_ID}"
key_id = "{KEY_ID}"
private_key_file = "apple.p8"
redirect_uri = "{address}/.schoolgate/callback"
base_url = "{apple}"

[session]
store = "memory"

[[app]]
name = "grade-book"
host = "localhost"
upstream = "http://{book}"

  # Everybody may see the start page,
  [[app.route]]
  path = "/"
  access = "public"

  # whoever signed in the grades,
  [[app.route]]
  path = "/grades"

  # and whoever has a permission of Apple's that only administrators and site managers can give the classes.
  [[app.route]]
  path = "/admin"
  scopes = ["edu.classes.read"]

# Another app, on another host: whoever is signed in there is signed in here.
[[app]]
name = "notice-board"
host = "127.0.0.1"
upstream = "http://{board}"
headers = {{ X-Remote-User = "{{sub}}", X-Remote-Email = "{{email}}" }}
"#
        )
    }

    /// What there is, and what to try.
    pub(super) fn welcome(&self) -> String {
        let address = self.place.address();
        let board = self.place.other_address();
        let remark = self.place.remark().map(|remark| format!("\n  {remark}\n")).unwrap_or_default();
        format!(
            "schoolgate demo: two apps, a stand-in for Apple, and the gateway between them.\n\
             \n  Open this in your browser:  {address}/\n\
             {remark}\
             \n  1. The start page is for everybody.\
             \n  2. \"Grades\" needs a sign-in. You come to the stand-in for Apple: be whoever you like.\
             \n  3. \"Class lists\" needs a permission that only the administrator and the site manager can\
             \n     give. Try it as one of them, and as a teacher.\
             \n  4. The notice board is another app on another host, and knows you already: {board}/\
             \n  5. \"Log out\", then press your browser's Back button. You are out at both.\
             \n  6. Sign in again, and take that person's consent back: {apple}stand-in/tell\
             \n     The next page wants a sign-in, because Apple has told the gateway.\
             \n\
             \n  gateway          {address}/  and  {board}/\
             \n  its settings     {settings}\
             \n  stand-in         {apple}\
             \n  grade book       http://{book}/  (as it is without the gateway: it knows nobody)\
             \n\
             \nAll of it is on this machine only, and everybody in it is made up. Ctrl-C ends it and deletes\
             \nits folder; nothing is written anywhere else. To see what the gateway does, start it again with\
             \nRUST_LOG=info.",
            settings = self.configuration_file().display(),
            apple = self.apple,
            book = self.book,
        )
    }
}
