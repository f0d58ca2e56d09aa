"""What flows are made of: wings, each a body of knowledge with one front door.

    level  wing or module                                              what it holds
    0      text                                                        what people read, and what must not be shown
    0      evidence                                                    what proves that a file is media and whole
    0      lazy_imports                                                which modules wait until they are used
    1      errors                                                      every failure, final or worth retrying
    1      documents                                                   what a meeting's texts are, and captions
    1      app_ids setting_values                                      what ids of apps, and settings, look like
    1      storage_options                                             how objects are stored: class, lock, encryption
    1      figures                                                     what an operator plots, for Prometheus
    2      environment settings retry cancellation workers tls         what all others stand on
    2      copy_settings secret_sources setting_problems               secrets in files and in Prefect blocks
    2      process_tuning                                              what is set once for a process
    2      worker_drain                                                how a worker of Prefect's ends
    2      prefect_settings run_history                                Prefect, as far as is known without it
    3      realtimekit                                                 the API: recordings and their URLs; webhooks
    3      download                                                    a file behind an expiring URL
    3      s3                                                          a store: objects and multipart uploads
    4      archive                                                     a bag per recording, and per state of a session
    5      transfer                                                    from source to store, part by part
    6      pipeline                                                    a recording's way, told once: start there
    6      session_pipeline session_contents session_news session_report    a session's way: transcript, chat, summary
    6      session engine                                              clients of a run; what runs its stages
    6      cli arguments                                               a command on a terminal
    7      sweep                                                       what is not archived yet
    7      audit                                                       whether the archive is what it was
    7      catalog                                                     a table of all recordings, for anybody's tools
    7      retention                                                   what is deleted on purpose, when and why
    7      restore                                                     recordings back to a folder or another bucket
    7      media                                                       what the files are
    7      doctor                                                      whether recordings will arrive
    8      copying                                                     a second copy of the archive
    8      library                                                     a page to find, watch and download recordings
    8      orchestration                                               the only wing that imports Prefect
    9      command                                                     a command, with Prefect or without it

A wing imports lower levels only, and never another wing of its own level. From outside, a name is imported from the
wing's front door (`from tasks.s3 import Bucket`); a module that its front door does not import is a door of its own.
tests/test_imports.py reads this table.

Who retries what: `s3.caller` one request to the store, `realtimekit.api_client` one request to the API,
`download.source` a file's bytes, with patience that progress refills; `transfer` looks at a file anew when another run
got in its way; `engine`, or Prefect in its place, runs a whole stage again, TASK_RETRIES times; the next sweep does all
of it again.
"""
