//! The PROXY header of a balancer: what is no header is kept for the request, and nothing is read beyond one.
#![no_main]

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
};

use libfuzzer_sys::fuzz_target;
use schoolgate::proxy::wire::{Introduction, introduction};

fuzz_target!(|bytes: &[u8]| {
    let mut rest = bytes;
    let read = pin!(introduction(&mut rest)).poll(&mut Context::from_waker(Waker::noop()));
    let Poll::Ready(read) = read else { panic!("it waits for bytes that are there") };
    let used = &bytes[..bytes.len() - rest.len()];
    match read {
        Ok(Introduction::None(kept)) => assert_eq!(kept, used),
        // The same bytes again are the same header, and no part of them is one.
        Ok(header) => {
            let again = pin!(introduction(&mut &used[..])).poll(&mut Context::from_waker(Waker::noop()));
            assert!(matches!(again, Poll::Ready(Ok(same)) if same == header));
            let part = pin!(introduction(&mut &used[..used.len() - 1])).poll(&mut Context::from_waker(Waker::noop()));
            assert!(matches!(part, Poll::Ready(Err(_))));
        }
        Err(_) => {}
    }
});
