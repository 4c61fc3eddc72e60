// --- common ---
struct topgraft_window {
    int input[3], output[3]; /* height, width, channels */
    int kernel[2], stride[2], pad[2];
};

struct topgraft_linear {
    const int8_t *weights;
    const int32_t *bias, *multiplier;
    const uint8_t *shift;
};

struct topgraft_levels {
    int32_t zero_in, zero_out, least, largest;
};

/* x / 2^shift, rounded down; C leaves >> of negative numbers to the compiler. */
static int64_t topgraft_halve(int64_t x, int shift)
{
    return x >= 0 ? x >> shift : ~(~x >> shift);
}

/* sum * multiplier / 2^shift, rounded to the nearest, halves up. */
static int64_t topgraft_rescale(int32_t sum, int32_t multiplier, int shift)
{
    return topgraft_halve((int64_t)sum * multiplier + ((int64_t)1 << (shift - 1)), shift);
}
// --- output ---

static int8_t topgraft_output(int64_t rescaled, const struct topgraft_levels *levels)
{
    int64_t q = rescaled + levels->zero_out;
    if (q < levels->least) q = levels->least;
    if (q > levels->largest) q = levels->largest;
    return (int8_t)q;
}
// --- conv ---

static void topgraft_conv(const int8_t *input, int8_t *output, const struct topgraft_window *window,
                          const struct topgraft_linear *linear, const struct topgraft_levels *levels)
{
    const int height = window->input[0], width = window->input[1], channels = window->input[2];
    for (int y = 0; y < window->output[0]; y++) {
        for (int x = 0; x < window->output[1]; x++) {
            const int8_t *weights = linear->weights;
            for (int n = 0; n < window->output[2]; n++) {
                int32_t sum = linear->bias[n];
                for (int ky = 0; ky < window->kernel[0]; ky++) {
                    const int iy = y * window->stride[0] + ky - window->pad[0];
                    for (int kx = 0; kx < window->kernel[1]; kx++, weights += channels) {
                        const int ix = x * window->stride[1] + kx - window->pad[1];
                        if (iy < 0 || iy >= height || ix < 0 || ix >= width) continue;
                        const int8_t *pixel = input + (iy * width + ix) * channels;
                        for (int c = 0; c < channels; c++) sum += (pixel[c] - levels->zero_in) * weights[c];
                    }
                }
                *output++ = topgraft_output(topgraft_rescale(sum, linear->multiplier[n], linear->shift[n]), levels);
            }
        }
    }
}
// --- depthwise ---

static void topgraft_depthwise(const int8_t *input, int8_t *output, const struct topgraft_window *window,
                               const struct topgraft_linear *linear, const struct topgraft_levels *levels)
{
    const int height = window->input[0], width = window->input[1], channels = window->input[2];
    const int each = window->output[2] / channels;
    for (int y = 0; y < window->output[0]; y++) {
        for (int x = 0; x < window->output[1]; x++) {
            const int8_t *weights = linear->weights;
            for (int n = 0; n < window->output[2]; n++) {
                int32_t sum = linear->bias[n];
                for (int ky = 0; ky < window->kernel[0]; ky++) {
                    const int iy = y * window->stride[0] + ky - window->pad[0];
                    for (int kx = 0; kx < window->kernel[1]; kx++, weights++) {
                        const int ix = x * window->stride[1] + kx - window->pad[1];
                        if (iy < 0 || iy >= height || ix < 0 || ix >= width) continue;
                        sum += (input[(iy * width + ix) * channels + n / each] - levels->zero_in) * *weights;
                    }
                }
                *output++ = topgraft_output(topgraft_rescale(sum, linear->multiplier[n], linear->shift[n]), levels);
            }
        }
    }
}
// --- dense ---

static void topgraft_dense(const int8_t *input, int8_t *output, int pixels, int n_in, int n_out,
                           const struct topgraft_linear *linear, const struct topgraft_levels *levels)
{
    for (; pixels > 0; pixels--, input += n_in) {
        const int8_t *weights = linear->weights;
        for (int n = 0; n < n_out; n++, weights += n_in) {
            int32_t sum = linear->bias[n];
            for (int k = 0; k < n_in; k++) sum += input[k] * weights[k];
            *output++ = topgraft_output(topgraft_rescale(sum, linear->multiplier[n], linear->shift[n]), levels);
        }
    }
}
// --- add ---

static void topgraft_add(const int8_t *a, const int8_t *b, int8_t *output, int len, const int32_t zeros[2],
                         const int32_t multipliers[2], int shift, const struct topgraft_levels *levels)
{
    for (int i = 0; i < len; i++) {
        const int64_t sum = (int64_t)(a[i] - zeros[0]) * multipliers[0] + (int64_t)(b[i] - zeros[1]) * multipliers[1];
        output[i] = topgraft_output(topgraft_halve(sum + ((int64_t)1 << (shift - 1)), shift), levels);
    }
}
// --- global_average ---

static void topgraft_global_average(const int8_t *input, int8_t *output, int pixels, int channels, int32_t multiplier,
                                    int shift, const struct topgraft_levels *levels)
{
    for (int n = 0; n < channels; n++) {
        int32_t sum = 0;
        for (int i = 0; i < pixels; i++) sum += input[i * channels + n] - levels->zero_in;
        output[n] = topgraft_output(topgraft_rescale(sum, multiplier, shift), levels);
    }
}
// --- pool ---

/* The mean, or else the largest, of each channel in a window. */
static void topgraft_pool(const int8_t *input, int8_t *output, const struct topgraft_window *window, int mean)
{
    const int height = window->input[0], width = window->input[1], channels = window->input[2];
    for (int y = 0; y < window->output[0]; y++) {
        for (int x = 0; x < window->output[1]; x++) {
            for (int n = 0; n < channels; n++) {
                int32_t folded = 0, count = 0;
                for (int ky = 0; ky < window->kernel[0]; ky++) {
                    const int iy = y * window->stride[0] + ky - window->pad[0];
                    for (int kx = 0; kx < window->kernel[1]; kx++) {
                        const int ix = x * window->stride[1] + kx - window->pad[1];
                        if (iy < 0 || iy >= height || ix < 0 || ix >= width) continue;
                        const int32_t q = input[(iy * width + ix) * channels + n] + 128;
                        if (mean) folded += q;
                        else if (q > folded) folded = q;
                        count++;
                    }
                }
                if (mean) folded = (2 * folded + count) / (2 * count);
                *output++ = (int8_t)(folded - 128);
            }
        }
    }
}
// --- clamp ---

static void topgraft_clamp(const int8_t *input, int8_t *output, int len, const struct topgraft_levels *levels)
{
    for (int i = 0; i < len; i++) {
        const int32_t q = input[i];
        output[i] = (int8_t)(q < levels->least ? levels->least : q > levels->largest ? levels->largest : q);
    }
}
// --- head ---

/* e^(-below / 2^16) in units of 2^-30. */
static uint32_t topgraft_exponential(int64_t below)
{
    static const uint32_t terms[8] = {16377, 165394, 1431680, 10327387, 59597083, 257941248, 744261118, 1073741824};
    const uint64_t limit = (uint64_t)32 << 16;
    const uint64_t clamped = (uint64_t)below > limit ? limit : (uint64_t)below;
    const uint64_t power = clamped * 1549082005u >> 30;
    const uint64_t whole = (power + 0xffff) >> 16;
    const uint64_t fraction = (whole << 16) - power;
    uint64_t value = 0;
    for (int i = 0; i < 8; i++) value = (value * fraction >> 16) + terms[i];
    return (uint32_t)(value >> whole);
}

/* The integer square root, rounded down. */
static uint64_t topgraft_root(uint64_t rest)
{
    uint64_t root = 0;
    for (uint64_t bit = (uint64_t)1 << 62; bit != 0; bit >>= 2) {
        if (rest >= root + bit) {
            rest -= root + bit;
            root = (root >> 1) + bit;
        } else {
            root >>= 1;
        }
    }
    return root;
}

static int64_t topgraft_logit(const int8_t *features, int feature_dim, int n, const struct topgraft_linear *linear,
                              int32_t zero, int64_t length)
{
    const int8_t *weights = linear->weights + n * feature_dim;
    int32_t sum = 0;
    for (int k = 0; k < feature_dim; k++) sum += (features[k] - zero) * weights[k];
    if (length >= 0) sum = length == 0 ? 0 : (int32_t)((int64_t)sum * (1 << 24) / length);
    return topgraft_rescale(sum, linear->multiplier[n], linear->shift[n]) + linear->bias[n];
}

static int topgraft_head(const int8_t *features, int feature_dim, float *scores, int n_classes,
                         const struct topgraft_linear *linear, int32_t zero, int to_length_1)
{
    uint64_t square = 0, total = 0;
    for (int k = 0; k < feature_dim; k++) square += (uint64_t)((features[k] - zero) * (features[k] - zero));
    /* In units of 2^-8; negative: not to be divided by. */
    const int64_t length = to_length_1 ? (int64_t)topgraft_root(square << 16) : -1;
    int best = 0;
    int64_t most = topgraft_logit(features, feature_dim, 0, linear, zero, length);
    for (int n = 1; n < n_classes; n++) {
        const int64_t logit = topgraft_logit(features, feature_dim, n, linear, zero, length);
        if (logit > most) {
            best = n;
            most = logit;
        }
    }
    for (int n = 0; n < n_classes; n++) {
        const uint32_t share = topgraft_exponential(most - topgraft_logit(features, feature_dim, n, linear, zero, length));
        total += share;
        scores[n] = (float)share;
    }
    for (int n = 0; n < n_classes; n++) scores[n] /= (float)total;
    return best;
}
