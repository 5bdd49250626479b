"""Who may call which method, as data. Whose job or data set it is, the workflow checks: others' are not found."""

from __future__ import annotations

from node.crypto.certificates import Role

ANYBODY = frozenset(Role)
CLIENT = frozenset({Role.CLIENT})
PROVIDER = frozenset({Role.PROVIDER})
ARBITER = frozenset({Role.ARBITER})
OPERATOR = frozenset({Role.OPERATOR})
UPLOADERS = CLIENT | PROVIDER

RIGHTS: dict[str, frozenset[Role]] = {
    "/hallmark.v1.ChallengeService/ChallengeJob": CLIENT | PROVIDER,
    "/hallmark.v1.ChallengeService/DownloadCaseFile": ARBITER,
    "/hallmark.v1.ChallengeService/ListCases": ARBITER,
    "/hallmark.v1.ChallengeService/PostRuling": ARBITER,
    "/hallmark.v1.ChallengeService/ProveFault": CLIENT | PROVIDER | ARBITER,
    "/hallmark.v1.DatasetService/CreateDataset": CLIENT,
    "/hallmark.v1.DatasetService/DeleteDataset": CLIENT,
    "/hallmark.v1.DatasetService/GetDataset": CLIENT,
    "/hallmark.v1.DatasetService/ListDatasets": CLIENT,
    "/hallmark.v1.EscrowService/Deposit": OPERATOR,
    "/hallmark.v1.EscrowService/GetAccount": ANYBODY,
    "/hallmark.v1.EscrowService/ListTransfers": ANYBODY,
    "/hallmark.v1.EscrowService/Withdraw": ANYBODY,
    "/hallmark.v1.JobService/CancelJob": CLIENT,
    "/hallmark.v1.JobService/CreateJob": CLIENT,
    "/hallmark.v1.JobService/DownloadAdapter": CLIENT,
    "/hallmark.v1.JobService/GetJob": ANYBODY,
    "/hallmark.v1.JobService/GetReceipt": ANYBODY,
    "/hallmark.v1.JobService/ListJobs": ANYBODY,
    "/hallmark.v1.JobService/QuoteJob": CLIENT,
    "/hallmark.v1.JobService/WatchJob": ANYBODY,
    "/hallmark.v1.NodeService/GetNode": ANYBODY,
    "/hallmark.v1.ProviderService/DownloadTrainingData": PROVIDER,
    "/hallmark.v1.ProviderService/GetProvider": ANYBODY,
    "/hallmark.v1.ProviderService/Heartbeat": PROVIDER,
    "/hallmark.v1.ProviderService/LeaseJob": PROVIDER,
    "/hallmark.v1.ProviderService/PostMessage": PROVIDER,
    "/hallmark.v1.ProviderService/RegisterProvider": PROVIDER,
    "/hallmark.v1.ProviderService/SubmitAdapter": PROVIDER,
    "/hallmark.v1.ProviderService/SubmitCheckpoint": PROVIDER,
    "/hallmark.v1.TransparencyService/DownloadReveal": ANYBODY,
    "/hallmark.v1.TransparencyService/GetChain": ANYBODY,
    "/hallmark.v1.TransparencyService/GetCheckpoint": ANYBODY,
    "/hallmark.v1.TransparencyService/GetConsistencyProof": ANYBODY,
    "/hallmark.v1.TransparencyService/GetInclusionProof": ANYBODY,
    "/hallmark.v1.UploadService/CreateUpload": UPLOADERS,
    "/hallmark.v1.UploadService/DeleteUpload": UPLOADERS,
    "/hallmark.v1.UploadService/GetUpload": UPLOADERS,
    "/hallmark.v1.UploadService/WriteUpload": UPLOADERS,
    # what gRPC brings along
    "/grpc.health.v1.Health/Check": ANYBODY,
    "/grpc.health.v1.Health/List": ANYBODY,
    "/grpc.health.v1.Health/Watch": ANYBODY,
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": ANYBODY,
}
