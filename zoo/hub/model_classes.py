"""The classes and functions that a model file may name. All others are refused.

Left out are classes that run code (Lambda, TFSMLayer, JaxLayer, TorchModuleWrapper), that read
files (StringLookup, IntegerLookup, TextVectorization) or take text, and operations that take
functions.
"""

_LAYERS = """
    Activation ActivityRegularization AdaptiveAveragePooling1D AdaptiveAveragePooling2D
    AdaptiveAveragePooling3D AdaptiveMaxPooling1D AdaptiveMaxPooling2D AdaptiveMaxPooling3D Add
    AdditiveAttention AlphaDropout Attention AugMix AutoContrast Average AveragePooling1D
    AveragePooling2D AveragePooling3D AvgPool1D AvgPool2D AvgPool3D BatchNormalization
    Bidirectional CategoryEncoding CenterCrop Concatenate
    ContrastLimitedAdaptiveHistogramEqualization Conv1D Conv1DTranspose Conv2D Conv2DTranspose
    Conv3D Conv3DTranspose ConvLSTM1D ConvLSTM2D ConvLSTM3D Convolution1D Convolution1DTranspose
    Convolution2D Convolution2DTranspose Convolution3D Convolution3DTranspose Cropping1D
    Cropping2D Cropping3D CutMix Dense DepthwiseConv1D DepthwiseConv2D Discretization Dot
    Dropout ELU EinsumDense Embedding Equalization Flatten GRU GRUCell GaussianDropout
    GaussianNoise GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D
    GlobalAvgPool1D GlobalAvgPool2D GlobalAvgPool3D GlobalMaxPool1D GlobalMaxPool2D
    GlobalMaxPool3D GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D GroupNormalization
    GroupQueryAttention Identity InputLayer LSTM LSTMCell LayerNormalization LeakyReLU Masking
    MaxPool1D MaxPool2D MaxPool3D MaxPooling1D MaxPooling2D MaxPooling3D Maximum MelSpectrogram
    Minimum MixUp MultiHeadAttention Multiply Normalization PReLU Permute RMSNormalization RNN
    RandAugment RandomBrightness RandomColorDegeneration RandomColorJitter RandomContrast
    RandomCrop RandomElasticTransform RandomErasing RandomFlip RandomGaussianBlur
    RandomGrayscale RandomHue RandomInvert RandomPerspective RandomPosterization RandomRotation
    RandomSaturation RandomSharpness RandomShear RandomTranslation RandomZoom ReLU RepeatVector
    Rescaling Reshape Resizing ReversibleEmbedding STFTSpectrogram SeparableConv1D
    SeparableConv2D SeparableConvolution1D SeparableConvolution2D SimpleRNN SimpleRNNCell
    Softmax Solarization SpatialDropout1D SpatialDropout2D SpatialDropout3D
    SpectralNormalization StackedRNNCells Subtract TimeDistributed UnitNormalization
    UpSampling1D UpSampling2D UpSampling3D ZeroPadding1D ZeroPadding2D ZeroPadding3D
"""
_OPERATIONS = {
    "core": """
        Cast ConvertToTensor SaturateCast Scatter ScatterUpdate Slice SliceUpdate
        StopGradient Unstack
    """,
    "einops": """
        Rearrange
    """,
    "image": """
        AffineTransform CropImages ElasticTransform ExtractPatches GaussianBlur HSVToRGB
        MapCoordinates PadImages PerspectiveTransform RGBToGrayscale RGBToHSV Resize SSIM
        ScaleAndTranslate SobelEdges
    """,
    "linalg": """
        Cholesky CholeskyInverse Det Eig Eigh Inv Lstsq LuFactor MatrixRank Norm Pinv Qr SVD
        Solve SolveTriangular
    """,
    "math": """
        CDist Erf Erfc Erfinv ExtractSequences FFT FFT2 IFFT2 IRFFT ISTFT InTopK Logdet
        Logsumexp RFFT Rsqrt STFT SegmentMax SegmentMin SegmentProd SegmentReduction
        SegmentSum TopK ViewAsComplex ViewAsReal
    """,
    "nn": """
        AdaptiveAveragePool AdaptiveMaxPool AveragePool BatchNorm BinaryCrossentropy
        CTCDecode CTCLoss CategoricalCrossentropy Celu Conv ConvTranspose DepthToSpace
        DepthwiseConv DotProductAttention Elu Fold Gelu Glu HardShrink HardSigmoid HardSilu
        HardTanh LayerNorm LeakyRelu LogSigmoid LogSoftmax MaxPool Moments MultiHot
        Normalize OneHot PSNR Polar RMSNorm Relu Relu6 Selu SeparableConv Sigmoid Silu
        SoftShrink Softmax Softplus Softsign SpaceToDepth SparseCategoricalCrossentropy
        SparsePlus SparseSigmoid Sparsemax Squareplus TanhShrink Threshold Unfold
    """,
    "numpy": """
        Abs Absolute Add All AllClose Amax Amin Angle Any Append Arange Arccos Arccosh
        Arcsin Arcsinh Arctan Arctan2 Arctanh Argmax Argmin Argpartition Argsort Array
        ArraySplit Average Bincount BitwiseAnd BitwiseInvert BitwiseLeftShift BitwiseNot
        BitwiseOr BitwiseRightShift BitwiseXor BroadcastTo Cbrt Ceil Clip Concatenate Conj
        Conjugate Copy Corrcoef Correlate Cos Cosh CountNonzero Cross Cumprod Cumsum Deg2rad
        Diag Diagflat Diagonal Diff Digitize Divide DivideNoNan Dot Dsplit Dstack Einsum
        EmptyLike Equal Exp Exp2 ExpandDims Expm1 Fabs Flip Fliplr Flipud Floor FloorDivide
        Fmax Fmin Fmod Full FullLike Gcd Geomspace GetItem Greater GreaterEqual Heaviside
        Histogram Hsplit Hstack Hypot I0 Imag Inner IsIn Isclose Isfinite Isinf Isnan
        Isneginf Isposinf Isreal Kron Lcm Ldexp LeftShift Less LessEqual Linspace Log Log10
        Log1p Log2 Logaddexp Logaddexp2 LogicalAnd LogicalNot LogicalOr LogicalXor Logspace
        Matmul Max Maximum Mean Median Meshgrid Min Minimum Mod Moveaxis Multiply NanToNum
        Nanargmax Nanargmin Nancumprod Nancumsum Nanmax Nanmean Nanmedian Nanmin
        Nanpercentile Nanprod Nanquantile Nanstd Nansum Nanvar Ndim Negative Nextafter
        Nonzero NotEqual OnesLike Outer Pad Percentile Power Prod Ptp Quantile Rad2deg Ravel
        Real Reciprocal Repeat Reshape RightShift Roll Rot90 Round SearchSorted Select Sign
        Signbit Sin Sinc Sinh Size Slogdet Sort Split Sqrt Square Squeeze Stack Std Subtract
        Sum Swapaxes Take TakeAlongAxis Tan Tanh Tensordot Tile Trace Transpose Trapezoid
        Tril Triu TrueDivide Trunc Unique UnravelIndex Vander Var Vdot View Vsplit Vstack
        Where ZerosLike
    """,
}
_ACTIVATIONS = """
    celu elu exponential gelu glu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh
    leaky_relu linear log_sigmoid log_softmax mish relu relu6 selu sigmoid silu soft_shrink
    softmax softplus softsign sparse_plus sparse_sigmoid sparsemax squareplus swish tanh
    tanh_shrink threshold
"""
_INITIALIZERS = """
    Constant GlorotNormal GlorotUniform HeNormal HeUniform Identity IdentityInitializer LecunNormal
    LecunUniform Ones Orthogonal OrthogonalInitializer RandomNormal RandomUniform STFT
    STFTInitializer TruncatedNormal VarianceScaling Zeros
"""
_OWN = """
    AdaptiveReadoutCell Adjacency AutoNCP Bidirectional CTGRUCell CTRNNCell CfCCell
    DiagonalLiquidCell EachStep ForwardFillCell FullyConnected KeepZeros LEFCell LRCCell LTCCell
    Layered LiquidBlock LiquidCell LiquidRNN LiquidStack MixedMemoryCell NCP NODECell ODERNNCell
    Random RunningNormalization RunningNormalizationCell WiredCfCCell
"""
_QUANTIZED = "QuantizedCell QuantizedLayer _QuantizedLiquidRNN _QuantizedRNN"
_POLICIES = """
    DTypePolicy DTypePolicyMap FloatDTypePolicy QuantizedDTypePolicy QuantizedFloat8DTypePolicy
"""
_QUANTIZERS = """
    AbsMaxQuantizer Float8QuantizationConfig Int4QuantizationConfig Int8QuantizationConfig
"""
MODELS = ("Sequential", "Functional", "Model")

# By module, as Keras writes it.
LAYERS: dict[str, frozenset[str]] = {
    "keras": frozenset(MODELS),
    "keras.models": frozenset(MODELS),
    "keras.src.models.functional": frozenset(["Functional"]),
    "keras.src.models.sequential": frozenset(["Sequential"]),
    "keras.layers": frozenset(_LAYERS.split()),
    **{f"keras.src.ops.{room}": frozenset(names.split()) for room, names in _OPERATIONS.items()},
}
PARTS: dict[str, frozenset[str]] = {
    "keras": frozenset(_POLICIES.split()),
    "keras.dtype_policies": frozenset(_POLICIES.split()),
    "keras.initializers": frozenset(_INITIALIZERS.split()),
    "keras.regularizers": frozenset("L1 L1L2 L2 OrthogonalRegularizer".split()),
    "keras.constraints": frozenset("MaxNorm MinMaxNorm NonNeg UnitNorm".split()),
    "keras.quantizers": frozenset(_QUANTIZERS.split()),
    "keras.random": frozenset(["SeedGenerator"]),
}
# Our own layers, cells and wirings by the name under which they are registered: modules may move.
REGISTERED: dict[str, frozenset[str]] = {
    "lnn_keras": frozenset(_OWN.split()),
    "lnn_export": frozenset(_QUANTIZED.split()),
}
# Our own parts of layers, which do not count as layers.
REGISTERED_PARTS: dict[str, frozenset[str]] = {
    "lnn_keras": frozenset("Antisymmetric LeastMeanSquares RecursiveLeastSquares".split())
}
WIRINGS = frozenset("Adjacency AutoNCP FullyConnected Layered NCP Random".split())
ACTIVATIONS = frozenset(_ACTIVATIONS.split())
REGISTERED_FUNCTIONS = frozenset(["lnn_keras>lecun_tanh"])
# Plain values in a config: tensors of a graph, and arrays that a graph contains.
TENSOR, SLICE, ELLIPSIS = "__keras_tensor__", "__slice__", "__ellipsis__"
ARRAYS = ("__numpy__", "__tensor__")
DTYPES = frozenset(
    """
    bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 bfloat16 float16 float32 float64
    """.split()
)
# Classes that users know, with the reason why they are refused.
REASONS = {
    **dict.fromkeys(("Lambda", "__lambda__"), "it runs code from the file"),
    **dict.fromkeys(("TFSMLayer", "JaxLayer", "FlaxLayer", "TorchModuleWrapper"), "it runs code"),
    **dict.fromkeys(("StringLookup", "IntegerLookup", "TextVectorization"), "it reads files"),
}
