use super::super::KeyPair;
use super::super::server::Host;
use super::*;

async fn run(session: &Session, command: &str, stdin: &[u8]) -> (Exit, Vec<u8>, Vec<u8>) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut sink = |stream: Stream, bytes: &[u8]| match stream {
        Stream::Out => out.extend_from_slice(bytes),
        Stream::Err => err.extend_from_slice(bytes),
    };
    let exit = session.exec(command, stdin, &mut sink).await.unwrap();
    (exit, out, err)
}

#[tokio::test]
async fn streams_and_codes_come_through_and_silence_is_no_success() {
    let (_host, session) = Host::ready().await;
    assert_eq!(run(&session, "both", b"").await, (Exit::Code(7), b"out".to_vec(), b"err".to_vec()));
    assert_eq!(run(&session, "vanish", b"").await.0, Exit::Unknown);
    assert_eq!(run(&session, "killed", b"").await.0, Exit::Unknown);
    let refused = session.exec("refuse", b"", &mut |_, _| {}).await.unwrap_err();
    assert!(refused.to_string().starts_with("cannot run a command on n1: "), "{refused}");
    assert!(!Exit::Unknown.ok());
}

#[tokio::test]
async fn a_large_input_meets_a_large_answer() {
    let (_host, session) = Host::ready().await;
    let big: Vec<u8> = (0..4 << 20).map(|i| (i % 251) as u8).collect();
    let (exit, out, _) = run(&session, "cat", &big).await;
    assert_eq!(exit, Exit::Code(0));
    assert!(out == big, "{} of {} bytes came back", out.len(), big.len());
}

#[tokio::test]
async fn a_broken_session_is_made_again_for_the_next_command() {
    let (_host, session) = Host::ready().await;
    assert_eq!(run(&session, "hang up", b"").await.0, Exit::Unknown, "it may have run: it is not run again");
    assert_eq!(run(&session, "both", b"").await.0, Exit::Code(7));
}

#[tokio::test]
async fn another_host_key_is_refused_at_once() {
    let (mut host, listener) = Host::new().await;
    host.serve(listener);
    host.target.host_key = KeyPair::generate("other").unwrap().public;
    let error = host.login().await.err().unwrap();
    assert!(error.why.contains("another host key") && error.node.as_deref() == Some("n1"), "{error}");
}

#[tokio::test]
async fn a_refused_login_is_not_tried_again() {
    let (mut host, listener) = Host::new().await;
    host.accepts = false;
    host.serve(listener);
    assert!(host.login().await.err().unwrap().why.contains("refuses the lab's key"));
}

#[tokio::test]
async fn a_node_that_answers_late_is_waited_for() {
    let (host, listener) = Host::new().await;
    // As a forward does before the guest listens: the first connections are accepted and dropped.
    let (early, _) = tokio::join!(host.login(), async {
        for _ in 0..2 {
            drop(listener.accept().await.unwrap());
        }
        host.serve(listener);
    });
    assert_eq!(run(&early.unwrap(), "both", b"").await.0, Exit::Code(7));
}

#[tokio::test]
async fn a_dead_node_ends_the_wait_with_its_reason() {
    let (host, _listener) = Host::new().await;
    let died = async { Error::failed("keep the node running", "its kernel panicked") };
    let error = Session::wait_for(host.target.clone(), Duration::from_secs(20), died).await.err().unwrap();
    assert!(error.why.contains("panicked"));
}

#[tokio::test]
async fn a_server_that_says_nothing_is_told_from_one_that_is_away() {
    let (host, _listener) = Host::new().await;
    let wait = |target: Target| Session::wait_for(target, Duration::from_secs(4), std::future::pending());
    let error = wait(host.target.clone()).await.err().unwrap();
    assert!(error.why.contains("accepts connections, but says nothing"), "{error}");
    let (away, listener) = Host::new().await;
    drop(listener);
    let error = wait(away.target.clone()).await.err().unwrap();
    assert!(error.why.contains("refused") && error.node.as_deref() == Some("n1"), "{error}");
}

#[tokio::test]
async fn a_command_given_up_frees_its_place() {
    let (host, session) = Host::ready().await;
    let mut open = host.open.subscribe();
    for _ in 0..4 {
        let given_up = async {
            open.wait_for(|n| *n == 1).await.unwrap();
        };
        let mut sink = |_: Stream, _: &[u8]| {};
        tokio::select! {
            _ = session.exec("for ever", b"", &mut sink) => panic!("it does not end"),
            () = given_up => {}
        }
        open.wait_for(|n| *n == 0).await.unwrap();
    }
    assert_eq!(run(&session, "both", b"").await.0, Exit::Code(7));
}

#[tokio::test]
async fn a_full_server_does_not_cost_the_session_its_commands() {
    let (host, session) = Host::ready().await;
    let mut open = host.open.subscribe();
    let big = vec![b'x'; 1 << 20];
    let (exit, ()) = tokio::join!(run(&session, "cat", &big), async {
        open.wait_for(|n| *n == 1).await.unwrap();
        let _held = session.channel().await.unwrap();
        let full = session.exec("both", b"", &mut |_, _| {}).await.unwrap_err();
        assert!(full.why.contains("ConnectFailed"), "{full}");
    });
    assert_eq!((exit.0, exit.1.len()), (Exit::Code(0), big.len()));
}

#[tokio::test]
async fn a_server_that_hangs_gives_no_sign_of_life_and_one_that_works_does() {
    let (_host, session) = Host::ready().await;
    session.alive().await;
    let mut sink = |_: Stream, _: &[u8]| {};
    tokio::select! {
        _ = session.exec("for ever", b"", &mut sink) => panic!("it does not end"),
        () = session.alive() => {}
    }
    let hangs = async {
        let mut sink = |_: Stream, _: &[u8]| {};
        session.exec("freeze", b"", &mut sink).await
    };
    let silent = async {
        // The first may still be answered before the server hangs.
        while tokio::time::timeout(Duration::from_millis(200), session.alive()).await.is_ok() {}
    };
    tokio::select! {
        _ = hangs => panic!("nobody answers"),
        () = silent => {}
    }
}

#[tokio::test]
async fn a_session_that_broke_is_not_taken_for_a_node_that_hangs() {
    let (_host, session) = Host::ready().await;
    assert_eq!(run(&session, "hang up", b"").await.0, Exit::Unknown);
    session.alive().await;
}
