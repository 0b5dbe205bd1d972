"""What turns a bare byte stream into an encrypted one that carries many streams: three protocols, each sans-io.

| module | protocol | question it answers |
|---|---|---|
| `multistream` | `/multistream/1.0.0` | which protocol do we both speak? |
| `noise` over `noise_xx` | `/noise` | who are you, and which keys do we use? |
| `yamux` over `yamux_frame` | `/yamux/1.0.0` | which of our many conversations are these bytes for? |

All three have the same face: `receive(data)` takes what came, in pieces of any size; `data_to_send()` hands out, once,
what is to be written. No module here waits, reads a clock or opens a socket; `natlab.transport` is the shell around
them.
"""
