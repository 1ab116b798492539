use super::super::server::Host;
use super::*;
use std::future::pending;
use tokio::io::duplex;

fn pipes<'a>(
    output: &'a mut Vec<u8>,
    errors: &'a mut Vec<u8>,
    input: &'a [u8],
) -> Local<&'a [u8], &'a mut Vec<u8>, &'a mut Vec<u8>> {
    Local { input, output, errors, sizes: None }
}

#[tokio::test]
async fn pipes_are_handed_through_byte_by_byte_with_the_exit_code() {
    let (_host, session) = Host::ready().await;
    let input: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit = session.attach(Some("cat"), pipes(&mut out, &mut err, &input), pending()).await.unwrap();
    assert!(exit.ok() && out == input && err.is_empty());
    let exit = session.attach(Some("both"), pipes(&mut out, &mut err, b""), pending()).await.unwrap();
    assert_eq!((exit, out.ends_with(b"out"), &err[..]), (Exit::Code(7), true, &b"err"[..]));
}

#[tokio::test]
async fn a_shell_learns_the_size_and_each_change() {
    let (_host, session) = Host::ready().await;
    let (resize, sizes) = queue(1);
    let (mut keys, input) = duplex(64);
    let (output, mut screen) = duplex(64);
    let local = Local { input, output, errors: tokio::io::sink(), sizes: Some(sizes) };
    let user = async {
        let mut seen = [0; 7];
        resize.send((100, 30)).await.unwrap();
        screen.read_exact(&mut seen).await.unwrap();
        assert_eq!(&seen, b"100x30 ");
        resize.send((132, 50)).await.unwrap();
        screen.read_exact(&mut seen).await.unwrap();
        assert_eq!(&seen, b"132x50 ");
        keys.write_all(b"typed\r\n").await.unwrap();
        screen.read_exact(&mut seen).await.unwrap();
        assert_eq!(&seen, b"typed\r\n");
        drop(keys);
    };
    let (exit, ()) = tokio::join!(session.attach(None, local, pending()), user);
    assert_eq!(exit.unwrap(), Exit::Code(0));
}

#[tokio::test]
async fn a_reader_that_went_away_ends_the_command_as_sigpipe_would() {
    let (_host, session) = Host::ready().await;
    let (output, screen) = duplex(64);
    drop(screen);
    let local = Local { input: tokio::io::empty(), output, errors: tokio::io::sink(), sizes: None };
    assert_eq!(session.attach(Some("both"), local, pending()).await.unwrap(), Exit::Code(READER_GONE));
}

#[tokio::test]
async fn a_signal_ends_the_wait_and_a_refusal_is_told() {
    let (host, session) = Host::ready().await;
    let (_keys, input) = duplex(64);
    let local = Local { input, output: tokio::io::sink(), errors: tokio::io::sink(), sizes: None };
    let mut open = host.open.subscribe();
    let signal = async {
        open.wait_for(|n| *n == 1).await.unwrap();
    };
    let error = session.attach(None, local, signal).await.unwrap_err();
    assert_eq!((error.kind, error.exit_code()), (Kind::Interrupted, 130));
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let error = session.attach(Some("refuse"), pipes(&mut out, &mut err, b""), pending()).await.unwrap_err();
    assert!(error.why.contains("refused"), "{error}");
}
