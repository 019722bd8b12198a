"""Kinds of ops that an export may hold: those that TensorFlow Serving's stock CPU image of 2.15 is known to have.

The image links TensorFlow's core kernels, decode_proto among them, and TensorFlow Text 2.12.1 (to 2.19.1), of which
exports use SentencePiece alone. Here are the ops of every kind of export (ranker, student, cascade, float16, byte-level
BPE) and of plain arithmetic beside them. Left out are those that need a Python process, another device, XLA, images,
audio, training or queues, and random numbers but for the two that exports hold today.
"""

TEXT_OPS = frozenset({"SentencepieceOp", "SentencepieceTokenizeOp"})
"""Ops outside TensorFlow's core."""

# Arithmetic, comparisons, reductions, products, shapes, gather and scatter, ragged and sparse tensors, strings, protos,
# tables, variables, control flow, lists of tensors; a paragraph each.
_CORE_NAMES = """
Abs Add AddN AddV2 Ceil ClipByValue Cos Cosh Div DivNoNan Elu Erf Erfc Exp Expm1 Floor FloorDiv FloorMod LeakyRelu Log
Log1p Maximum Minimum Mod Mul MulNoNan Neg Pow RealDiv Reciprocal Relu Relu6 Rint Round Rsqrt Selu Sigmoid Sign Sin Sinh
Softplus Softsign Sqrt Square SquaredDifference Sub Tan Tanh TruncateDiv TruncateMod Xdivy Xlogy

ApproximateEqual BitwiseAnd BitwiseOr BitwiseXor Equal Greater GreaterEqual Invert IsFinite IsInf IsNan LeftShift Less
LessEqual LogicalAnd LogicalNot LogicalOr NotEqual RightShift Select SelectV2

All Any ArgMax ArgMin Bincount Cumprod Cumsum CumulativeLogsumexp DenseBincount EuclideanNorm InTopKV2 L2Loss Max Mean
Min NthElement Prod SegmentMax SegmentMean SegmentMin SegmentProd SegmentSum Sum TopKV2 UnsortedSegmentMax
UnsortedSegmentMin UnsortedSegmentProd UnsortedSegmentSum

BatchMatMul BatchMatMulV2 BatchMatMulV3 BiasAdd Einsum LogSoftmax MatMul Softmax

Bitcast BroadcastArgs BroadcastTo Bucketize Cast Concat ConcatOffset ConcatV2 Const Diag DiagPart EnsureShape ExpandDims
Fill Identity IdentityN InvertPermutation LinSpace ListDiff MatrixBandPart MatrixDiagPartV3 MatrixDiagV3 MirrorPad
OneHot OnesLike Pack Pad PadV2 Range Rank Reshape Reverse ReverseSequence ReverseV2 Roll Shape ShapeN Size Slice Split
SplitV Squeeze StopGradient StridedSlice Tile Transpose Unique UniqueV2 UniqueWithCounts UniqueWithCountsV2 Unpack
UnravelIndex Where ZerosLike

DynamicPartition DynamicStitch Gather GatherNd GatherV2 LowerBound ResourceGather ResourceGatherNd ScatterNd
TensorScatterAdd TensorScatterMax TensorScatterMin TensorScatterSub TensorScatterUpdate TensorStridedSliceUpdate
UpperBound

RaggedBincount RaggedFillEmptyRows RaggedGather RaggedRange RaggedTensorFromVariant RaggedTensorToSparse
RaggedTensorToTensor RaggedTensorToVariant SparseConcat SparseFillEmptyRows SparseReorder SparseReshape SparseSlice
SparseTensorDenseMatMul SparseToDense

AsString DecodeBase64 DecodePaddedRaw DecodeRaw EncodeBase64 ReduceJoin RegexFullMatch RegexReplace StaticRegexFullMatch
StaticRegexReplace StringFormat StringJoin StringLength StringLower StringNGrams StringSplitV2 StringStrip
StringToHashBucketFast StringToHashBucketStrong StringToNumber StringUpper Substr UnicodeDecode UnicodeDecodeWithOffsets
UnicodeEncode UnicodeTranscode UnsortedSegmentJoin

DecodeProtoV2 ParseExample ParseExampleV2 ParseSequenceExampleV2 ParseSingleExample

HashTableV2 InitializeTableFromTextFileV2 InitializeTableV2 LookupTableExportV2 LookupTableFindV2 LookupTableImportV2
LookupTableSizeV2

AssignVariableOp DisableCopyOnRead MergeV2Checkpoints Placeholder PlaceholderWithDefault ReadVariableOp RestoreV2 SaveV2
ShardedFilename VarHandleOp VarIsInitializedOp VariableShape

Assert Case Enter Exit If LoopCond Merge NextIteration NoOp PartitionedCall PreventGradient StatefulPartitionedCall
StatelessCase StatelessIf StatelessWhile Switch While

EmptyTensorList TensorListConcatV2 TensorListFromTensor TensorListGather TensorListGetItem TensorListLength
TensorListPushBack TensorListReserve TensorListSetItem TensorListStack

StatelessRandomGetKeyCounter StatelessRandomUniformFullIntV2
"""

CORE_OPS = frozenset(_CORE_NAMES.split())
"""Ops of TensorFlow's core."""
