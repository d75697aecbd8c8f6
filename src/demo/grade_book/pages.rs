//! The pages of the grade book.

use askama::Template;

use super::{
    Remark, SIGN_OUT,
    roster::{ClassList, RosterError},
    visitor::Visitor,
};

/// Terms and their dates.
const TERMS: &[(&str, &str)] = &[
    ("Autumn term", "1 September to 18 December"),
    ("Spring term", "6 January to 27 March"),
    ("Summer term", "14 April to 17 July"),
];

/// Subjects, marks and what the teacher wrote.
const MARKS: &[(&str, &str, &str)] = &[
    ("Reading", "A−", "Reads everything that is not nailed down."),
    ("Mathematics", "B+", "Much better since the fractions."),
    ("Science", "A", "Please bring the volcano home."),
    ("History", "B", "Knows the years, mixes up the kings."),
];

#[derive(Template)]
#[template(path = "demo/grade_book_welcome.html")]
struct Welcome<'a> {
    visitor: &'a Visitor,
    sign_out: &'a str,
    terms: &'a [(&'a str, &'a str)],
}

#[derive(Template)]
#[template(path = "demo/grade_book_grades.html")]
struct Grades<'a> {
    visitor: &'a Visitor,
    sign_out: &'a str,
    marks: &'a [(&'a str, &'a str, &'a str)],
    remarks: &'a [Remark],
}

#[derive(Template)]
#[template(path = "demo/grade_book_classes.html")]
struct Classes<'a> {
    visitor: &'a Visitor,
    sign_out: &'a str,
    classes: &'a Result<Vec<ClassList>, RosterError>,
}

#[derive(Template)]
#[template(path = "demo/grade_book_nothing.html")]
struct Nothing<'a> {
    visitor: &'a Visitor,
    sign_out: &'a str,
}

/// The page for everybody.
pub(super) fn welcome(visitor: &Visitor) -> askama::Result<String> {
    Welcome { visitor, sign_out: SIGN_OUT, terms: TERMS }.render()
}

/// Marks and remarks.
pub(super) fn grades(visitor: &Visitor, remarks: &[Remark]) -> askama::Result<String> {
    Grades { visitor, sign_out: SIGN_OUT, marks: MARKS, remarks }.render()
}

/// Classes, or why there are none.
pub(super) fn classes(visitor: &Visitor, classes: &Result<Vec<ClassList>, RosterError>) -> askama::Result<String> {
    Classes { visitor, sign_out: SIGN_OUT, classes }.render()
}

/// There is no such page.
pub(super) fn nothing(visitor: &Visitor) -> askama::Result<String> {
    Nothing { visitor, sign_out: SIGN_OUT }.render()
}
