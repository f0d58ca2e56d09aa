"""What flows are made of: wings, each a body of knowledge with one front door.

    level  wing or module                                              what it holds
    0      text                                                        what people read, and what must not be shown
    0      evidence                                                    what proves that a file is media and whole
    1      errors environment settings retry cancellation workers      what all others stand on
    1      process_tuning                                              what is set once for a process
    2      realtimekit                                                 the API: recordings and their URLs; webhooks
    2      download                                                    a file behind an expiring URL
    2      s3                                                          a store: objects and multipart uploads
    3      archive                                                     one bag per recording
    4      transfer                                                    from source to store, part by part
    5      pipeline                                                    a recording's way, told once: start there
    5      session cli                                                 clients of a run; a command on a terminal
    6      sweep                                                       what is not archived yet
    6      audit                                                       whether the archive is what it was
    6      media                                                       what the files are
    6      doctor                                                      whether recordings will arrive
    7      orchestration                                               the only wing that imports Prefect

A wing imports lower levels only, and never another wing of its own level. From outside, a name is imported from the
wing's front door (`from tasks.s3 import Bucket`); a module that its front door does not import is a door of its own.
tests/test_imports.py reads this table.

Who retries what: `s3.caller` one request to the store, `realtimekit.api_client` one request to the API,
`download.source` a file's bytes, with patience that progress refills; `transfer` looks at a file anew when another run
got in its way; Prefect's task retries run a whole stage again, TASK_RETRIES times; the next sweep does all of it again.
"""
