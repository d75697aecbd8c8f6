//! Everything embedded for schoolgate demo and for the tests: the stand-in for Apple and the sample app.
